# 只在 Telegram 上说的话：问候、照片计数、过大的文件、群组。

telegram-welcome =
    你好！我用你的照片训练图像 LoRA。

    1. 发给我 10 到 30 张照片：相册、单张、文件或 zip 都可以。
    2. 点“训练”，选择要学什么，再起一个自造词。
    3. 几分钟后就能收到 LoRA 和样图。
telegram-welcome-group =
    你好！我用照片训练图像 LoRA。请用照片或 zip 回复这条消息，或者发送 zip 并以 `/train@{ $bot }` 作为说明。也可以私聊我。
telegram-welcome-open-group =
    你好！我用照片训练图像 LoRA。请用照片或 zip 回复这条消息，或者发送时以 `/train` 作为说明；群里的其他图片我不会理会。也可以私聊我。
telegram-what-can-you = 能训练什么？
telegram-train = 训练
telegram-count-next = 可以继续发送；发完了就点“训练”。
telegram-send-as-file = 顺便一提：Telegram 会压缩照片，以“文件”方式发送可以保留全部细节。
telegram-which-trigger = 用哪个词来唤出它？最好是短的自造词，本身没有含义。请选一个，或者直接输入你自己的词。
telegram-which-trigger-group = 用哪个词来唤出它？最好是短的自造词，本身没有含义。请选一个，或者用你自己的词回复这条消息。

telegram-too-large = { $name } 超过了 Telegram 允许我下载的 { $limit } MB。还有另一个办法：
telegram-upload-page = 在这里发送（请不要转发：拿到链接的人能以你的名义发送）
telegram-link-in-private = { $name } 对 Telegram 来说太大了，我已私聊发给你一个链接。
telegram-open-private = 这个文件对 Telegram 来说太大了。请打开 t.me/{ $bot }，点“开始”，在那里发给我。
telegram-file-too-large = LoRA 太大，无法发到这里。请在有效期内下载：
telegram-file-refused = 这个聊天不允许我发送文件。请在有效期内下载：
telegram-pictures-refused = （这个群不允许我发送照片，所以这里没有曲线图和样图。）
telegram-link-file = 下载 { $name }
telegram-link-here = （这个地址只能在运行 lorabot 的机器上打开，运维人员可以更改。）

telegram-not-your-file = 那是别人的文件，请自己发送照片。
telegram-one-of-album = 那个相册里，Telegram 只让我看到你回复的那一张照片。请把整个相册再发一次（在群里请回复这条消息），或者发一个 zip。
telegram-not-your-button = 那是别人的按钮。发送你自己的照片，就会有你的按钮。
telegram-anonymous = 你以匿名或频道身份发言，我无法知道你是谁。请用自己的名字发言，或者私聊我。
telegram-cannot-write = 我不能在那个群里发言，请管理员允许我发送消息。
telegram-instead-of-group = （群里不再允许我发言，所以发到这里。）

telegram-token-refused = Telegram 不认识这个机器人的令牌。请向 @BotFather 获取新的令牌，并设置 LORABOT_TELEGRAM__TOKEN。其他部分照常运行。
telegram-webhook-no-port = webhook 无法监听 { $host }:{ $port }。请换一个端口（LORABOT_TELEGRAM__WEBHOOK_PORT）。
telegram-webhook-refused = Telegram 不接受 webhook 的地址：{ $reason }（LORABOT_TELEGRAM__WEBHOOK_URL）。

# 仅供 Discord 使用：命令名称、表单、链接、权限。

discord-token-refused = Discord 不接受机器人的令牌（LORABOT_DISCORD__TOKEN）。请在 Developer Portal 重新复制：Bot，Reset Token。

## 命令

discord-name-train = 训练
discord-name-upload = 上传
discord-name-jobs = 任务
discord-name-cancel = 取消
discord-name-presets = 预设
discord-name-clear = 清空
discord-name-privacy = 隐私
discord-name-forgetme = 忘记我
discord-name-help = 帮助
discord-name-queue = 队列
discord-name-queue-show = 查看
discord-name-queue-pause = 暂停
discord-name-queue-resume = 恢复
discord-name-queue-hold = 挂起
discord-name-queue-release = 放行
discord-name-queue-front = 置顶
discord-name-queue-cancel = 取消
discord-name-queue-log = 日志
discord-name-preset = 预设
discord-name-images = 图片
discord-name-trigger = 触发词
discord-name-base = 模型
discord-name-name = 名称
discord-name-job = 任务
discord-menu-train = 用这条消息训练 LoRA
discord-hint-train = 用你的图片训练一个 LoRA
discord-hint-upload = 上传大 zip 或很多照片的页面
discord-hint-queue-show = 谁在排队，什么在训练
discord-hint-queue-pause = 不再开始本服务器的任务；正在训练的继续
discord-hint-queue-resume = 重新开始本服务器的任务
discord-hint-queue-hold = 把排队中的任务移出队列
discord-hint-queue-release = 把挂起的任务放回队列
discord-hint-queue-front = 让排队中的任务排到第一
discord-hint-queue-cancel = 停止任何人的任务
discord-hint-queue-log = 管理员做过的操作
discord-option-images = 图片的 zip，或一张图片；不填则打开可传十个文件的表单

## 表单

discord-form-title = 训练 LoRA
discord-form-preset = 要学什么？
discord-form-preset-hint = 选最合适的一项
discord-form-trigger = 触发词
discord-form-trigger-hint = 用来唤出它的自造词。留空的话我来推荐。
discord-form-trigger-example = zuri
discord-form-files = 照片，或照片的 zip
discord-form-files-hint = 最多 10 个文件。留空则使用你之前发送的。
discord-form-more = -# 超过 10 张照片，或 zip 超过 Discord 的限制？输入 `/upload`。
discord-add-photos = 添加照片
discord-go-on = 继续

## 照片

discord-nothing-attached = 那条消息里没有图片，也没有 zip。请选一条有图片的消息。
discord-attachment-gone = Discord 已不再提供 `{ $name }`。请重新发送。
discord-photos-here =
    { $count ->
        [0] 我看完了你发送的文件，没有可以训练的图片。
       *[other] 我现在有你的 { $count } 张照片。要学什么？
    }
discord-photos-go-on =
    { $count ->
       *[other] 我现在有你的 { $count } 张照片，可以从刚才的地方继续。
    }
discord-upload-page = 这是[你专用的上传页面]({ $url })，zip 多大、照片多少都可以。一天内有效。请不要转发：拿到它的人能以你的名义发送照片。
discord-open-upload-page = 上传很多照片
discord-link-local = 这个链接只能在我所在的电脑上打开：我没有公开地址（LORABOT_WEB__PUBLIC_URL）。

## 卡片和结果

discord-card-for = 触发词 `{ $trigger }` · { $whom }
discord-too-large-here = `{ $name }`（{ $size } MB）超过了本服务器允许我发送的大小：[在这里下载]({ $url })。
discord-download = 下载 { $name }（{ $size } MB）
discord-no-pictures = 我在这个频道不能发送文件，所以没有图片。

## 权限

discord-nowhere = Discord 没有说明我们在哪里，所以我不能在这里回答。请在文字频道中使用。
discord-missing-permissions = 我不能在这个频道工作，因为缺少：{ $permissions }。服务器管理员可以把它们给我的身份组（服务器设置，身份组），或只在这个频道给（编辑频道，权限）。你的东西都没有丢失。
discord-not-a-member = 这个服务器里有我的命令，但我不是它的成员，所以我没法在这里显示或发送任何东西。服务器管理员可以[邀请我]({ $url })，然后请再来一次。你的东西都没有丢失。
discord-restarting-kept = 我正在重启。你的文件我已经收到：大约一分钟后我回来看完它们，再在这个频道告诉你。
discord-restarting = 我正在重启，请一分钟后再试一次。已经收到的文件都会保留，重复发送也不会算两次。
discord-channel-shut = 我不能再在 { $channel } 发言，所以发到这里。
discord-permission-view-channel = 查看频道
discord-permission-send-messages = 发送消息
discord-permission-send-in-threads = 在子区内发送消息
discord-permission-attach-files = 附加文件

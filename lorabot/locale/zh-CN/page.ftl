### 网页聊天界面。变量由页面自己填入，因此这里不用复数或选择器。

page-title = lorabot
page-skip = 跳到输入框
page-conversation = 对话
page-presets = 预设
page-language = 语言
page-help = 帮助
page-you = 你
page-bot = lorabot
page-today = 今天
page-yesterday = 昨天

page-empty-title = 教模型认识新东西
page-empty-first = 把要学的照片或 zip 拖到本页任意位置。
page-empty-then = 然后选一个预设，再取一个用来唤出它的词：
page-empty-example = /train preset:anime trigger:zuri
page-empty-files = 选择照片
page-empty-presets = 选择预设

page-message = 消息
page-placeholder = 输入 / 查看命令
page-send = 发送
page-attach = 添加照片或 zip
page-drop = 松开即可添加
page-drop-hint = 照片、文件夹或 zip

page-waiting = 上传完成后发出
page-sending = 正在发送
page-lost = 连接已断开，正在重新连接
page-back = 已重新连接
page-too-many-tabs = 这个对话打开的标签页太多了。关掉一个，本页就会继续。
page-newer = 新消息

page-uploads = 上传
page-upload-waiting = 等待中
page-upload-progress = { $percent }，共 { $size }
page-upload-checking = 正在检查
page-upload-cancel = 取消上传 { $name }
page-upload-retry = 重新上传 { $name }
page-upload-dismiss = 收起 { $name }
page-upload-failed = 上传中断了，请再试一次。
page-upload-skipped = 以下文件既不是图片也不是 zip，已略过：{ $names }
page-upload-too-large = 此文件为 { $size }，这里最大只收 { $most }。
page-upload-nothing = 里面没有图片，也没有 zip。
page-pasted = 粘贴 { $time }

page-more = 另有 { $count } 个

page-card = { $name } 的训练
page-progress = 进度
page-steps = 第 { $step } 步，共 { $total } 步
page-loss = 损失
page-loss-chart = 前 { $step } 步的损失，当前 { $loss }
page-training = 训练
page-validation = 验证
page-at-step = 第 { $step } 步
page-before = 训练前
page-samples = 样图

page-result = 结果
page-download = 下载 { $name }
page-open = 放大查看：{ $name }
page-viewer = 图片
page-previous = 上一张
page-next = 下一张
page-close = 关闭

page-confirm-cancel = 停止这次训练？
page-confirm-cancel-text = 到目前为止学到的内容都会丢弃。
page-confirm-cancel-yes = 停止训练
page-confirm-other = { $label }？
page-confirm-other-text = 此操作无法撤销。
page-confirm-keep = 返回

page-picker-title = 要让它学什么？
page-picker-preset = 预设
page-picker-trigger = 用来唤出它的词
page-picker-trigger-hint = 简短、自造的词，例如 zuri。之后写进提示词里。
page-picker-start = 开始训练
page-picker-loading = 正在读取预设
page-picker-none = 这里没有预设。

page-suggestions = 建议

page-send-title = 发送照片
page-send-where = 照片会直接进入你在 { $platform } 上的对话。
page-send-where-web = 照片会直接进入你的对话。
page-send-hint = 照片、文件夹或 zip：点按选择，或拖到本页任意位置。
page-send-most = 每个文件最大 { $size }。
page-send-none = 还没有发送
page-send-waiting = 已发送 { $sent } / { $all } 个
page-send-sent = 已发送：{ $sent } 个
page-send-failed = 未发送：{ $failed } 个
page-send-done = 完成
page-send-thanks = 已收到
page-send-back = 回到 { $platform } 吧：我会在那里告诉你看到了什么，以及接下来怎么做。本页可以关闭了。
page-send-back-web = 回到聊天吧：我会在那里告诉你看到了什么，以及接下来怎么做。本页可以关闭了。
page-send-over = 本页已失效

page-login-title = 欢迎
page-login-text = 这个 lorabot 需要密码。
page-login-password = 密码
page-login-enter = 进入
page-login-wrong = 密码不对，请再试一次。
page-login-wait = 尝试次数太多，请 { $minutes } 分钟后再来。

# 机器人说的一切：命令的回答、文件检查结果、任务卡片、训练结果、网页前端。

bot-unexpected = 我这边出了点问题，请再试一次；如果一直这样，请把这个编号告诉运维人员：{ $id }。

## 命令

command-just-talk = 我只听得懂命令。先发照片或 zip 压缩包，再输入例如 `/train preset:anime trigger:zuri`。`/help` 列出全部命令。
command-unknown = 没有 `/{ $command }` 这个命令。`/help` 列出全部命令。
command-unknown-near = 没有 `/{ $command }` 这个命令。是不是想输入 `/{ $nearest }`？
command-option-unknown = `/{ $command }` 没有 `{ $option }` 这个选项。可用的有：{ $options }。
command-option-unknown-near = `/{ $command }` 没有 `{ $option }` 这个选项。是不是想输入 `{ $nearest }:`？
command-option-twice = `{ $option }` 写了两次，以哪个为准？
command-option-empty = `{ $option }:` 后面是空的。请写成 `{ $option }:内容`。
command-no-options = `/{ $command }` 后面不需要其他内容。
command-too-many = 不知道 `{ $word }` 是做什么用的。`/{ $command }` 只接受：{ $options }。多个词的内容请加引号，选项请写成 `name:内容`。
command-old-button = 这个按钮已经失效了。请直接输入命令，`/help` 列出全部命令。

command-hint-train = 用发来的照片训练 LoRA
command-hint-status = 查看最近一个任务的进展
command-hint-jobs = 我的任务
command-hint-cancel = 停止任务
command-hint-presets = 能训练什么，需要发什么照片
command-hint-clear = 清空已发送、尚未训练的照片
command-hint-queue = 查看和管理队列（管理员）
command-hint-privacy = 我保存你的什么、保存多久
command-hint-forgetme = 删除你的一切
command-hint-help = 我能做什么
command-option-preset = 训练什么：anime、portrait、product……
command-option-trigger = 用来唤出它的自造词
command-option-base = 用哪个底模训练
command-option-name = 文件名
command-option-seed = 整数；相同的种子可以重复同一次训练
command-option-job = 任务的编号或名称
command-option-action = 操作：show、pause、resume、hold、release、front、cancel、log
command-base-hint-demo = 内置的小模型
command-base-hint-sd15 = Stable Diffusion 1.5
command-base-hint-sd21 = Stable Diffusion 2.1
command-base-hint-sdxl = Stable Diffusion XL
command-job-hint =
    { $state ->
        [running] { $name }，训练中
        [held] { $name }，已挂起
       *[queued] { $name }，等待中
    }
command-trigger-hint = 一个自造词，换成别的也可以

command-which-preset = 要学什么？请选一个预设，或者输入例如 `/train preset:anime`。`/presets` 有说明。
command-which-trigger = 用哪个词来唤出它？最好是短的自造词，本身没有含义。请选一个，或者自己写：`/train preset:{ $preset } trigger:{ $example }`。
command-trigger-words = `{ $trigger }` 不止一个词。触发词必须是一个自造的单词，例如 `{ $suggestion }`。
command-trigger-goes-on =
    不知道 `{ $word }` 是做什么用的：触发词必须是一个自造的单词，例如 `{ $suggestion }`；{ $place ->
        [preset] 也没有叫这个名字的预设。现有：{ $known }。
       *[base] 也没有叫这个名字的底模。现有：{ $known }。
    }
command-trigger-odd = `{ $trigger }` 不能作触发词：只能用英文字母 a 到 z 和数字，并以字母开头。用 `{ $suggestion }` 怎么样？
command-trigger-short = `{ $trigger }` 太短，触发词至少要三个字母。用 `{ $suggestion }` 怎么样？
command-trigger-long = `{ $trigger }…` 太长，触发词最多 { $limit } 个字母。用 `{ $suggestion }` 怎么样？
command-trigger-common = `{ $trigger }` 对模型来说已有含义，会和要学的内容混在一起。请用自造词，例如 `{ $suggestion }`。
command-name-odd = `{ $name }` 不能作文件名。请用英文字母、数字、`-` 和 `_`，最多 { $limit } 个字符。用 `{ $suggestion }` 怎么样？
command-name-long = `{ $name }…` 作文件名太长。请用英文字母、数字、`-` 和 `_`，最多 { $limit } 个字符。用 `{ $suggestion }` 怎么样？
command-seed-odd = `{ $seed }` 不是有效的种子，必须是 0 到 { $limit } 的整数。
command-too-few = 目前有 { $count } 张照片，`{ $preset }` 至少需要 { $least } 张，请再加 { $more } 张。{ $kind }
command-too-many-images = 现在有 { $count } 张照片，`{ $preset }` 最多用 { $most } 张。用 `/clear` 清空后，只发最好的那些。
command-too-few-for-any = 目前有 { $count } 张照片，至少需要 { $least } 张。请再加 { $more } 张。
command-too-many-for-any = 现在有 { $count } 张照片，最多只能用 { $most } 张。请用 `/clear` 清空，再发最好的那些。
command-queued = `{ $name }` 将用“{ $preset }”训练，共 { $images } 张照片。{ $position ->
        [0] 马上开始。
        [1] 下一个就轮到它。
       *[other] 排在第 { $position } 位。
    }
command-no-jobs = 还没有任务。先发一些照片或 zip 压缩包，再输入例如 `/train preset:anime trigger:zuri`。
command-none-here = 你的这些任务都不是在这个聊天里提交的。有别人在看时我不会说起其他任务；请私聊问我，或写出任务名。
command-status = `{ $name }`（{ $id }），{ $preset }：{ $state }
command-steps = 第 { $step } 步，共 { $total } 步
command-jobs = 你的任务，最新的在前：
command-jobs-line = `{ $id }` { $name }，{ $preset }：{ $state }
command-cancel-job = 取消 { $name }
command-nothing-to-cancel = 没有可以取消的：没有任务在等待或训练。
command-which-job = 有好几个任务在进行：{ $jobs }。请写明要取消哪一个，例如 `/cancel job:编号`。
command-cancelled = `{ $name }` 已取消。
command-cancelling = 正在停止 `{ $name }`。
command-clear = 清空
command-cleared =
    { $count ->
        [0] 没有要清空的照片。
       *[other] 已清空 { $count } 张照片。
    }
command-consent =
    开始之前：我只用你发来的照片训练你的 LoRA，不作他用。照片里的人也应当同意。
    任务结束后，照片和由它们生成的东西会保留 { $days } 天，然后删除。`/privacy` 有更多说明，`/forgetme` 会立即删除一切。
command-agree = 我同意
command-start = 开始
command-drop = 取消
command-dropped = 好的，先不训练。你的照片还在；`/clear` 可以清空。
command-confirm =
    { $images ->
       *[other] 准备好了：`{ $name }`，{ $preset }，{ $images } 张照片，底模 `{ $base }`，触发词 `{ $trigger }`。
    }
command-estimate-alike = 大约需要{ $duration }，与最近的同类任务一样。
command-estimate-others = 粗略估计需要{ $duration }，按这里其他训练推算。
command-estimate-step = 粗略估计需要{ $duration }：这里还没有训练过这一类，只能按一个测试步骤推算。
command-estimate-file = LoRA 文件约 { $megabytes } MB。
command-estimate-memory = 大约需要 { $gigabytes } GB 显存。
command-estimate-first = 这里还没有训练过这一类，所以还说不准需要多久。
command-place =
    { $position ->
        [1] 前面没有人排队。
       *[other] 你将排在第 { $position } 位。
    }
command-place-wait =
    { $position ->
        [1] 下一个就轮到你，{ $duration }后开始。
       *[other] 你将排在第 { $position } 位，{ $duration }后开始。
    }
command-no-trainer = 目前没有就绪的训练端，要等有训练端就绪才会开始。
command-base-nowhere = 正在运行的训练端都没有底模 { $base }，所以要等到有训练端装上它才会开始。管理员可以在 /queue 中看到。
command-place-paused = 队列现在暂停了，要等管理员恢复后才会开始。
command-again-enough =
    { $way ->
        [stronger] `{ $name }` 学得已经够久了。再多时间不如再多几张照片。
       *[weaker] `{ $name }` 学得已经很短了，再短就什么也学不到了。
    }
command-not-a-moderator = 只有管理员可以这样做。
command-not-a-moderator-web = 只有管理员可以这样做。这个网页上没有管理员，除非运维人员设置 `LORABOT_WEB__EVERYBODY_IS_OPERATOR=true`。
command-queue-not-all = 只有设置里指定的运维人员可以对全部这样做。去掉 `all`，就只对本社区有效。
command-queue-unknown = 队列没有 `{ $action }` 这个操作。你是不是要 `/queue { $nearest }`？可用的有：{ $actions }。
command-queue-which-job = 哪个任务？请写明，比如 `/queue { $action } ID`。`/queue show` 会列出来。
command-queue-several = 有好几个任务叫 `{ $name }`：{ $jobs }。请写编号。
command-queue-paused =
    { $where ->
        [all] 全部暂停：正在训练的继续，不再开始新的。
       *[other] 本社区的队列已暂停：正在训练的继续，不再开始新的。
    }
command-queue-resumed =
    { $where ->
        [all] 全部继续，单独暂停的社区除外。
       *[other] 本社区的队列继续。
    }
command-queue-still-paused = 本社区不再暂停，但运维人员暂停了全部，所以暂时还不会开始。
command-queue-hold = `{ $name }`（{ $id }）已挂起。`/queue release { $id }` 让它重新排队。
command-queue-release =
    { $position ->
        [0] `{ $name }`（{ $id }）已放行，马上开始。
       *[other] `{ $name }`（{ $id }）重新排队，排在第 { $position } 位。
    }
command-queue-front =
    { $position ->
        [0] `{ $name }`（{ $id }）已移到最前，马上开始。
       *[other] `{ $name }`（{ $id }）已移到最前，排在第 { $position } 位。
    }
command-queue-is-paused =
    { $where ->
        [all] 全部已暂停（由 { $by }）。
       *[other] 已暂停：{ $where }（由 { $by }）。
    }
command-queue-jobs = 队列，按处理顺序：
command-queue-empty = 队列是空的。
command-queue-line = `{ $id }` { $name }，{ $preset }，属于 { $owner }：{ $state }
command-queue-more = 后面还有。
command-queue-base-nowhere = 有 { $jobs } 个任务在等待底模 `{ $base }`：正在运行的训练端都没有它。请把文件放到某台训练机的设置所写的位置。
command-queue-trainer = 训练端 `{ $worker }`：{ $device }
command-queue-card = 训练端 `{ $worker }`：{ $card }，共 { $total } GB，空闲 { $free } GB，自用 { $own } GB{ $holders ->
        [none] {""}
       *[other] ；其他占用者：{ $holders }
    }{ $unnamed ->
        [none] {""}
       *[other] ；另有 { $unnamed } GB 被无法识别的程序占用
    }
command-queue-log = 管理员做过的事，最新的在前：
command-queue-log-empty = 管理员还没有做过什么。
command-queue-log-line =
    { $where ->
        [all] { $at }：{ $who } 对全部执行了 `{ $action }`
       *[other] { $at }：{ $who } 在 { $where } 执行了 `{ $action }`
    }{ $job ->
        [none] 。
       *[other] ，任务 `{ $job }`。
    }
command-queue-button-pause = 暂停
command-queue-button-resume = 继续
command-queue-hint-show = 正在训练和排队的任务
command-queue-hint-pause = 不再开始新的
command-queue-hint-resume = 继续
command-queue-hint-hold = 挂起一个排队中的任务
command-queue-hint-release = 让挂起的任务重新排队
command-queue-hint-front = 让一个任务下一个开始
command-queue-hint-cancel = 停止某人的任务
command-queue-hint-log = 管理员做过的事
command-privacy =
    我保存什么、保存多久：
    你发来的照片：直到你用它们训练，或用 `/clear` 清空（一天之内彻底删除），最多 { $drafts } 天。拍摄地点等隐藏信息在收到时就会去掉。
    任务的照片、样图、结果和日志：任务结束后 { $days } 天（任务失败或取消、照片已还给你时也一样），然后连同存储里的文件全部删除。
    网页聊天里的对话：同样久。其他聊天平台自己保存消息。
    你的账号编号、语言，以及你已同意这件事：直到你发 `/forgetme`。
    这一切只用来训练你的 LoRA 并发给你，不作他用。我不会把你的照片和文件给别人。
command-forget = 删除我的一切
command-forget-sure = 确定吗？这会删除你的照片、你的任务和它们生成的一切，以及我对你的记录。进行中的任务会停止。无法撤销。
command-forget-yes = 是的，全部删除
command-forgotten =
    { $jobs ->
        [0] 好了：你的一切都已删除（{ $files } 个文件）。
       *[other] 好了：你的一切都已删除（{ $jobs } 个任务，{ $files } 个文件）。
    }
command-forgotten-chat = 聊天里已有的消息会留在那里：你自己的消息可以自己删除，我的消息在允许的地方也可以删除，否则请联系管理员。
command-presets = 我能训练这些（`/presets 名称` 查看详情）：
command-presets-line = `{ $preset }` { $title }：{ $description }
command-preset =
    `{ $preset }` { $title }：{ $description }
    发什么：{ $kind }
    发多少：{ $least } 到 { $most } 张，最好 { $best } 张左右。
    底模：{ $bases }。
command-help = 把要学的照片或 zip 压缩包发给我，再输入下面的命令：
command-help-line = `{ $usage }` { $hint }

## 人们发来的文件

intake-looking-first = 正在看……
intake-looking = 正在检查图片：{ $done } / { $total }……
intake-found = 有 { $count } 张可用的图片。
intake-found-none = 没有找到可以训练的图片。
intake-found-none-new = 没有找到可以训练的新图片。
intake-left-out = 未采用：{ $names }。{ $reason }
intake-left-out-more = 未采用：{ $names } 等，另有 { $more } 个。{ $reason }
intake-left-out-rest = 还有 { $count } 个因其他原因未采用。
intake-captions = 其中 { $count } 张带有你写的描述，我会采用。
intake-passed-over = 跳过了 { $count } 个不是图片的文件。
intake-draft = 加上之前发的，现在一共 { $count } 张。
intake-draft-same = 之前发的 { $count } 张图片还在。
intake-next = 要学什么？请选一个预设，或者输入 `/train preset:anime trigger:zuri`。

intake-not-a-zip = 它既不是 zip 也不是图片。请发 JPEG、PNG 或 WebP 图片，或把图片打包成 zip。
intake-other-archive = 这是别的压缩格式，请把图片打包成 zip。
intake-zip-damaged = 这个 zip 已损坏，请重新打包再发。
intake-zip-empty = 这个 zip 是空的。
intake-zip-no-images = 里面没有图片。
intake-zip-locked = 这个 zip 设了密码，请去掉密码再发。
intake-zip-too-many = 这个 zip 里有 { $count } 个文件，最多 { $limit } 个。请只发图片。
intake-zip-too-large = 这个 zip 解压后超出限制（最多 { $limit } MB）。请只发图片。
intake-zip-bomb = 这个 zip 解压后远远大于它本身，而图片不会这样。请只发图片。
intake-zip-method = 它的压缩方式我解不开，请用普通的 zip。
intake-nested-zip = 它是 zip 里的另一个压缩包，请把图片直接放进 zip。
intake-locked = 它设了密码。
intake-caption-unread = 无法读取这段图片说明，请存为纯文本（UTF-8），最大 16 kB。
intake-broken = 读不出来，可能已损坏，请重新发送。
intake-not-an-image = 它不是图片。
intake-video = 它是视频，请发单张图片。
intake-empty-file = 文件是空的。
intake-no-heic = 这里读不了 HEIC 图片，请发 JPEG（iPhone：设置 > 相机 > 格式 > 兼容性最佳）。
intake-too-many-pixels = 它超过 { $limit } 百万像素，请缩小后再发。
intake-too-small = 它只有 { $width } × { $height } 像素，每边至少要 { $least }。
intake-too-narrow = 它是 { $width } × { $height } 像素，太狭长了。
intake-blank = 它是空白的。
intake-duplicate =
    { $files ->
       *[other] 和另一张完全相同。
    }
intake-draft-full = 已经有 { $limit } 张图片，达到上限。用 `/clear` 可以清空。
intake-image-too-large = 它超过 { $limit } MB。
intake-too-heavy = 读取它需要太多内存，请缩小后再发。
intake-too-slow = 读取它太久了，请存成 JPEG 或 PNG 再发。
intake-crashed = 读不出来，文件已损坏或名不副实。请存成 JPEG 或 PNG 再发。
intake-file-too-large = { $name } 太大了，最大 { $limit } MB。
intake-no-room = 磁盘空间不够，暂时放不下 { $name }，请稍后再试。
intake-disk-full = 我的磁盘满了，没法查看它。请告诉运维人员，稍后再发一次。
intake-too-many-waiting = 一次发来的文件太多了。请等我看完，再发一次 { $name }。
intake-upload-unwanted = { $name } 还在传输时，你删除了自己的一切，所以它也一并删除了。如果还想用它训练，请重新发送。
intake-upload-broken = { $name } 在传输途中断了，请重新发送。

## 任务卡片

card-state-held = 已挂起
card-state-queued = 等待中
card-state-in-line =
    { $position ->
        [1] 下一个就是
       *[other] 排在第 { $position } 位
    }
card-state-running = 训练中
card-state-cancelling = 正在取消
card-state-succeeded = 完成
card-state-failed = 失败
card-state-cancelled = 已取消
card-stage-preparing = 准备中
card-stage-captioning = 描述图片
card-stage-planning = 按机器情况做规划
card-stage-training = 训练
card-stage-evaluating = 评估结果
card-stage-exporting = 写出文件
card-rate = 每秒 { $rate } 步
card-rate-slow = 每步 { $seconds } 秒
card-left-seconds = 还剩 { $seconds } 秒
card-left-minutes = 还剩 { $minutes } 分钟
card-left-hours = 还剩 { $hours } 小时 { $minutes } 分钟
duration-seconds = 约 { $seconds } 秒
duration-minutes = 约 { $minutes } 分钟
duration-seconds-range = { $low } 到 { $high } 秒
duration-minutes-range = { $low } 到 { $high } 分钟
duration-hours-range = { $low } 到 { $high } 小时
duration-hours = 约 { $hours } 小时 { $minutes } 分钟
card-sample-alt = { $prompt }，第 { $step } 步
card-cancel = 取消
card-details = 详情

## 任务的更多详情

details-words = 触发词 `{ $trigger }`，底模 `{ $base }`，种子 { $seed }，{ $images } 张照片。
details-recipe = 计划：共看 { $views } 张次，{ $resolution } 像素，每次 { $batch } 张，秩 { $rank }，学习率 { $rate }。
details-loss = 损失：最初 { $first }，最近 { $last }。
details-validation = 验证损失：最初 { $first }，目前最好 { $best }。
details-validation-ended = 验证损失：最初 { $first }，最好 { $best }。
details-took = 从开始到结束用了{ $duration }。
details-crashes = 中断过 { $count } 次，之后都接着进行了。
details-captions = 有 { $count } 张照片带有你写的说明，例如：
details-caption = `{ $name }`：`{ $caption }`

## 训练结果

result-done = `{ $name }` 训练好了（{ $preset }）。
result-how = 用 { $images } 张图片训练了 { $steps } 步，用时 { $duration }。
result-loss = 验证损失：开始 { $first }，第 { $step } 步之后 { $kept }，你得到的就是这一步的结果。
result-use = 使用方法：把 `{ $file }` 放进 LoRA 文件夹（适用于底模 `{ $base }`），在提示词里写上 `{ $trigger }`。
result-use-demo = 使用方法：`{ $file }` 只适用于自带的演示小模型（`{ $base }`），用它时在提示词里写上 `{ $trigger }`。要用于 AUTOMATIC1111、Forge 或 ComfyUI，请在 Stable Diffusion 底模上训练；机器人的管理者可以添加底模。
result-stronger = 再训练一次，更强
result-weaker = 再训练一次，更弱
result-alt-plot = 训练过程中的损失曲线
result-alt-grid = 训练前、训练中、训练后的样图
result-cancelled = `{ $name }` 已取消。
result-failed = `{ $name }` 失败了。{ $reason }
result-photos-kept = 你的 { $count } 张照片还在：`/train` 可以再用它们训练，`/clear` 可以清空。
result-photos-displaced = { $kept ->
        [0] 它的
       *[other] 它另外的
    } { $count } 张照片已经不在了，因为你后来又发了别的照片；还想用它们训练的话，请重新发送。
result-no-reason = 原因不明，运维人员的日志里也许有。
result-notice = `{ $name }`：{ $notice }

## 网页前端

web-needs-password = 网页聊天会在 { $host } 对所有人开放。请设置密码（LORABOT_WEB__PASSWORD），或让它只监听 127.0.0.1。
web-port-taken = { $host }:{ $port } 已被其他程序占用。请结束它，或换一个端口（LORABOT_WEB__PORT）。
web-no-address = 网页聊天无法监听 { $host }:{ $port }：本机没有这个地址，或不允许使用（LORABOT_WEB__HOST、LORABOT_WEB__PORT）。
web-no-session = 本次访问已结束，请重新打开页面。
web-wrong-host = 这个 lorabot 不响应该主机名。请用它启动时显示的地址打开；如果要用别的地址，需要运维人员设置 LORABOT_WEB__PUBLIC_URL。
web-wrong-origin = 这个请求来自别的网站。
web-upload-unnamed = 上传的文件没有名字。
web-not-understood = 没看懂页面发来的消息，请重新打开页面。
web-too-fast = 一次说得太多了，请等我回答完。
web-link-expired = 这个链接已过期，请重新打开对话获取新链接。
web-nothing-here = 这个地址上什么也没有。聊天页的地址只到主机名（和端口）为止。
web-link-unknown = 这不是我的链接。
web-send-expired = 这个链接已过期，它只有一天有效。请在聊天里再要一个。
web-send-closed = 这个链接已用过。还想发的话，请在聊天里再要一个。
web-file-gone = 这个文件已经不在了：任务结束一段时间后，它的文件会被删除。在聊天里发 /privacy 可以看到保留多久。

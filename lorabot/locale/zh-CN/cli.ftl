# 命令行界面，写给运维人员。

## 设置。{ $name } 是环境变量，或文件名加键名；{ $allowed } 取自 settings-allowed-...
settings-wrong = { $name } 的值是“{ $value }”，但应为{ $allowed }。
settings-missing = 缺少 { $name }，它必须是{ $allowed }。
settings-wrong-secret = { $name } 的值无法使用，应为{ $allowed }。为保密起见，这里不显示它的值。
settings-wrong-section = { $name }：{ $reason }。
settings-unknown-variable = 没有 { $name } 这项设置。是不是 { $nearest }？
settings-unknown-variable-at-all = 没有 { $name } 这项设置。全部设置见 docs/settings.md。
settings-unknown-key = { $file }：没有 { $name } 这项设置。是不是 { $nearest }？
settings-unknown-key-at-all = { $file }：没有 { $name } 这项设置。全部设置见 docs/settings.md。
settings-no-section = { $file }：{ $name } 是一个小节，其设置应写在 [{ $name }] 这一行之下。
settings-no-file = 无法读取设置文件 { $file }：{ $reason }。
settings-not-toml = 无法理解设置文件 { $file }：{ $reason }。
settings-no-secret-file = { $name } 指向的文件 { $file } 无法读取：{ $reason }。
settings-twice = { $name } 和 { $file } 同时被设置，请只保留一个。
settings-allowed-choice = 以下之一：{ $choices }
settings-allowed-url = 以 { $scheme }:// 或 { $scheme }s:// 开头的地址
settings-allowed-site = 以 http:// 或 https:// 开头的地址，主机名后面不带路径
settings-allowed-form = { $form } 的形式（{ $description }）
settings-allowed-text = 至少 { $least } 个字符的文本
settings-allowed-bases = 底模列表（环境变量里写成 JSON），每个都要有 id、title 和 source（见 docs/bases.md）
settings-allowed-ids = 用逗号分隔的数字
settings-allowed-networks = 用逗号分隔的地址或网段，例如 127.0.0.1, 10.0.0.0/8
settings-allowed-path = 路径
settings-allowed-any = 文本
settings-allowed-between = { $above ->
        [yes] 大于 { $low } 且不超过 { $high } 的
       *[no] 从 { $low } 到 { $high } 的
    }{ $kind ->
        [whole] 整数
       *[number] 数字
    }
settings-allowed-from = { $above ->
        [yes] 大于 { $low } 的
       *[no] 不小于 { $low } 的
    }{ $kind ->
        [whole] 整数
       *[number] 数字
    }
settings-allowed-number = { $kind ->
        [whole] 整数
       *[number] 数字
    }

## 命令行帮助，可以使用 Markdown。
cli-help =
    在聊天中训练图像 LoRA：发送照片，输入 `/train`，得到 `.safetensors` 文件。

    第一次用？`lorabot demo` 几分钟内演示全过程，`lorabot up` 启动你自己的聊天页面。
cli-epilog = 设置来自 `LORABOT_...` 环境变量和 `lorabot.toml`，完整列表见 docs/settings.md。退出码：0 成功，1 失败，2 命令行有误，78 设置有误。
cli-help-config = 读取指定的设置文件，而不是当前目录的 `lorabot.toml`。
cli-help-debug = 显示错误堆栈和最详细的日志。
cli-help-version = 显示版本后退出。
cli-help-panel-run = 对外提供服务
cli-help-panel-make = 立即训练 LoRA
cli-help-panel-look = 查看与检查
cli-help-up =
    在本机运行全部组件：聊天页面、训练器和队列。

    聊天页面在 `http://127.0.0.1:8080`。组件意外退出会自动重启；按 Ctrl-C 依次结束全部组件。
cli-help-bot = 仅运行聊天端：网页，以及设置了令牌的 Discord 和 Telegram。不需要 GPU，也不需要 torch。
cli-help-trainer = 仅运行训练端，每块 GPU 一个。不需要聊天相关的库。
cli-help-demo =
    完整看一遍流程：把压缩包发到聊天里，训练 LoRA，取回文件。

    使用内置的小模型，不需要 GPU 和账号，除结果外不留下任何东西。
cli-help-demo-out = 存放结果的文件夹。
cli-help-train =
    用文件夹或压缩包直接训练一个 LoRA，不经过聊天和队列。

    例如：`lorabot train photos/ --preset pet --trigger mokka --out mokka-lora`
cli-help-train-photos = 文件夹、zip 压缩包或单张图片。
cli-help-train-preset = 训练配方，`lorabot presets` 可查看全部。
cli-help-train-trigger = 用来唤出所学内容的自造词，例如 `zuri`。不写就自动造一个。
cli-help-train-base = 底模；用 `lorabot bases` 查看。不填则用设置里的第一个，没有就用 demo。
cli-help-train-name = LoRA 文件的名字，默认与触发词相同。
cli-help-train-seed = 让训练可以重现的数字，默认随机。
cli-help-train-out = 存放结果的文件夹；其中已有另一个 LoRA 的结果时会拒绝。
cli-help-presets = 列出可用的预设，或完整显示其中一个。
cli-help-presets-id = 要完整显示的预设。
cli-help-bases = 列出可以训练的底模：在哪里，能不能用。
cli-help-bases-download = 现在就下载 Hugging Face Hub 上的底模，免得任务等待。
cli-help-doctor = 检查本机：Python、torch、GPU、Redis、数据库、文件、令牌、模型。每一行是正常、缺少，或损坏及其修复办法。

## 各命令的输出。
cli-unexpected = 发生了意料之外的错误：{ $reason }。详情见 { $file }。
cli-no-data-folder = 无法在 { $folder } 中保存数据：{ $reason }。请解决此问题，或用 LORABOT_DATA_DIR 换一个文件夹。
cli-no-results-folder = 无法把结果放入 { $folder }：{ $reason }。请用 --out 指定其他文件夹。
cli-database-away = 数据库目前无法使用：{ $reason }。请启动它或为它腾出空间，或更正 LORABOT_DATABASE_URL；详情可用 `lorabot doctor` 查看。
cli-bad-url = 无法使用当前设置：{ $reason }。详情可用 `lorabot doctor` 查看。
cli-web-ready = 聊天页面已就绪：{ $url }
cli-valkey-started = 已启动内置的 Valkey。
cli-valkey-failed = 无法启动内置的 Valkey：{ $reason }
cli-starting = 正在 { $folder } 中启动 lorabot { $version } ……
cli-stopping = 正在依次结束各组件。再按一次 Ctrl-C 立即结束。
cli-stopping-now = 立即结束。
cli-stopped = 全部组件已结束。
cli-rate = { $rate } 步/秒
cli-loss = 损失 { $loss }
cli-train-no-photos = { $path } 不存在。请给出文件夹、zip 压缩包或图片。
cli-train-empty = { $path } 中没有任何文件。请指定存放照片的文件夹。
cli-train-stopped = 已停止。已学到的内容不会保留；同一条命令会从头开始。
cli-train-too-much = { $path } 中的文件超过 { $files } 个或 { $megabytes } MB。请指定只有照片的文件夹。
cli-train-unreadable = 无法读取 { $path }：{ $reason }。请把它移出文件夹，或更改它的读取权限。
cli-train-another-lora = { $folder } 中已有另一个 LoRA 的结果，这次训练会把它们覆盖。请用 --out 指定其他文件夹。
cli-train-made-up = 用来唤出所学内容的触发词：{ $trigger }（可用 `--trigger` 另选）
cli-train-looking = 正在查看照片
cli-train-loading = 正在加载模型
cli-train-done = 完成。文件在 { $folder }：

supervisor-started = { $part } 已启动（进程 { $pid }）
supervisor-died = { $part } 意外退出（退出码 { $code }），{ $seconds } 秒后重新启动
supervisor-died-signal = { $part } 被终止（{ $signal }），{ $seconds } 秒后重新启动
supervisor-settings = { $part } 无法使用当前设置，请看上面它的输出。
supervisor-ending = 正在结束 { $part } ……
supervisor-killed = { $part } 在 { $seconds } 秒内没有结束，已被强制终止。
supervisor-killed-at-once = { $part } 已立即终止。
supervisor-already-running = lorabot 已在 { $folder } 上运行（进程 { $pid }）。请先结束它，或用 LORABOT_DATA_DIR 换一个文件夹。
supervisor-port-taken = { $host } 的端口 { $port } 已被其他程序占用。请结束该程序，或用 LORABOT_WEB__PORT 换一个端口。
supervisor-port-forbidden = 端口 { $port } 仅限系统管理员使用。请用 LORABOT_WEB__PORT 选择 1023 以上的端口。
supervisor-host-unknown = { $host } 不是本机的地址。请用 LORABOT_WEB__HOST 换一个。

presets-field = 字段
presets-count = { $least } 到 { $most } 张图片，最好 { $best } 张
presets-send = 请发送 { $images }：{ $kind }
presets-more = `lorabot presets ID` 完整显示一个预设。可以把自己的预设放进文件夹，并用 LORABOT_PRESETS_DIR 指定。
presets-override = 你的 { $file } 替换了内置的 { $id }。
presets-broken = 未载入：{ $what }

bases-id = 名称
bases-title = 标题
bases-family = 系列
bases-where = 位置
bases-state = 状态
bases-built-in = 内置
bases-ok = 正常，{ $size } GB，{ $prediction }
bases-sure = 预测 { $prediction }
bases-usual = 应为预测 { $prediction }
bases-downloading = 正在下载 { $source } ……
bases-more = 可以在 lorabot.toml 的 [[bases]] 里添加自己的底模，写法见 docs/bases.md。

demo-starting = 正在启动 lorabot
demo-no-example = 找不到示例照片 { $file }。请在项目的代码目录中运行演示。
demo-not-started = 聊天页面在 { $seconds } 秒内没有打开。
demo-ended = 演示进行中 lorabot 退出了（退出码 { $code }）。
demo-refused = 聊天端拒绝了请求：{ $reason }
demo-job-failed = 训练失败。{ $reason }
demo-too-long = { $minutes } 分钟后演示仍未完成。
demo-files-missing = 结果中缺少 { $files }。
demo-log = 完整日志在 { $file }。
demo-done = 用时 { $seconds } 秒。结果如下：
demo-next =

    接下来
    {"  "}lorabot up                        启动你自己的聊天页面 http://127.0.0.1:8080
    {"  "}lorabot presets                   查看可以训练什么
    {"  "}LORABOT_DISCORD__TOKEN=...        用于 Discord（discord.com/developers，你的应用，Bot，Reset Token）
    {"  "}LORABOT_TELEGRAM__TOKEN=...       用于 Telegram（向 @BotFather 发送 /newbot）
    令牌写在环境变量或 lorabot.toml 里，然后运行 lorabot up。docs/discord.md 和 docs/telegram.md 有逐步说明。

doctor-state-ok = 正常
doctor-state-missing = 缺少
doctor-state-broken = 损坏
doctor-well = 需要的都齐全。
doctor-broken = 有 { $count } 处损坏，修复办法见上。
doctor-python = { $version }（{ $path }）
doctor-packages = { $names }
doctor-packages-missing = 未安装：{ $names }
doctor-packages-mend = 运行 `lorabot { $extra }` 的主机需要：pip install 'lorabot[{ $extra }]'
doctor-torch = { $version }，CUDA { $cuda }
doctor-torch-broken = torch 已安装但无法启动：{ $reason }
doctor-torch-mend = 请重新安装：pip install --force-reinstall torch torchvision
doctor-gpu = { $name }（编号 { $index }）：共 { $total } GB，空闲 { $free } GB，占用者：{ $holders }
doctor-gpu-unnamed = { $name }（编号 { $index }）：共 { $total } GB，空闲 { $free } GB，占用者：{ $holders }，另有 { $unnamed } GB 被在此看不到的程序占用
doctor-gpu-unmeasured = { $name }（编号 { $index }）与主机共用内存
doctor-gpu-no-nvml = { $name }：共 { $total } GB，空闲 { $free } GB；无法查询其余显存被谁占用
doctor-gpu-no-nvml-mend = 这里缺少驱动的 NVML。容器需设置 NVIDIA_DRIVER_CAPABILITIES=compute,utility。
doctor-gpu-limit = 按 LORABOT_TRAINER__MEMORY_LIMIT，训练最多使用 { $name } 的 { $most } GB
doctor-gpu-full-mend = 空闲显存很少。请结束占用者，否则训练会很慢或被拒绝。
doctor-compiler = { $compiler } 和 Python 头文件：可以为显卡编译内核
doctor-compiler-none = 没有 C 编译器，显卡上的训练会比应有的速度慢
doctor-compiler-no-headers = 缺少 Python.h，显卡上的训练会比应有的速度慢
doctor-compiler-mend = 请安装 gcc 和 Python 头文件，在 Debian 和 Ubuntu 上：apt-get install gcc python3-dev。原因见 docs/speed.md。
doctor-gpu-none = 未找到 NVIDIA 显卡，将用处理器训练
doctor-gpu-none-mend = 对演示模型来说足够。使用真实模型请安装 NVIDIA 驱动，nvidia-smi 应能列出显卡。
doctor-gpu-wanted = LORABOT_TRAINER__DEVICE 是 { $device }，但没有这块显卡
doctor-gpu-wanted-mend = 请安装 NVIDIA 驱动（nvidia-smi 会列出显卡），或设置 LORABOT_TRAINER__DEVICE=auto。
doctor-gpu-hidden-mend = torch 看到的显卡比驱动少。请改正 CUDA_VISIBLE_DEVICES，或设置 LORABOT_TRAINER__DEVICE=auto。
doctor-gpu-unused = 有 { $name }，但 torch 无法使用
doctor-gpu-unused-mend = 当前的 torch 不含 CUDA，或需要更新的驱动。请按 pytorch.org/get-started 安装合适的版本，或设置 LORABOT_TRAINER__DEVICE=cpu。
doctor-redis = { $where }，版本 { $version }
doctor-redis-away = { $where } 没有响应（{ $reason }）
doctor-redis-mend = 请启动它或更正 LORABOT_REDIS_URL；不设置时 lorabot 会启动自带的服务。
doctor-valkey = 自带的 Valkey，需要时启动
doctor-valkey-runs = 自带的 Valkey，正在运行
doctor-valkey-broken = 自带的 Valkey 无法启动：{ $reason }
doctor-valkey-mend = 请用系统的软件包安装 valkey 或 redis，或设置 LORABOT_REDIS_URL。
doctor-database = { $where }，版本 { $version }
doctor-database-new = { $where }，首次启动时创建
doctor-database-older = { $where }，版本 { $version }，下次启动时升级到 { $newest }
doctor-database-newer = { $where } 由更新版本的 lorabot 创建（版本 { $version }）
doctor-database-newer-mend = 请重新安装较新的 lorabot，或更改 LORABOT_DATABASE_URL。
doctor-database-away = { $where } 没有响应（{ $reason }）
doctor-database-bad = { $where }：{ $reason }
doctor-database-mend = 请启动它或更正 LORABOT_DATABASE_URL；不设置时 lorabot 使用自己的文件。
doctor-estimates-none = 这里还没有训练事先做过估计
doctor-estimates = 最近 { $count } 次训练的用时与估计相差 { $percent }%（中位数）
doctor-blobs = { $where } 可以写入、读取和清除
doctor-blobs-broken = { $where } 无法使用：{ $reason }
doctor-blobs-mend = 请检查 LORABOT_BLOB_URL、文件夹权限；使用 S3 时检查 AWS_ACCESS_KEY_ID 和 AWS_SECRET_ACCESS_KEY。
doctor-disk = { $folder }，空闲 { $free } GB
doctor-disk-mend = 一次训练暂时需要约 1 GB，结果会保留。请腾出空间，或更改 LORABOT_DATA_DIR。
doctor-disk-open = 本机的其他用户可以查看 { $folder }
doctor-disk-open-mend = 大家发来的照片和取回的文件都在那里。请让它只对当前用户开放：chmod 700 { $folder }
doctor-web = { $host }:{ $port } 可用
doctor-web-runs = { $host }:{ $port }，lorabot 正在运行
doctor-web-answers = { $host }:{ $port }，lorabot 自己的页面在那里应答
doctor-web-mend = 聊天页面无法在那里打开。
doctor-token = { $setting } 是 { $owner } 的令牌
doctor-token-refused = { $platform } 不接受 { $setting }
doctor-token-unasked = { $setting } 格式正确；无法向 { $platform } 查询：{ $reason }
doctor-token-nonsense = { $setting } 格式正确；代替 { $platform } 应答的是别的服务
doctor-token-unasked-mend = 请检查这台主机到 { $platform } 的连接：网络、需要代理时的 HTTPS_PROXY，以及改动过的 api_url 设置。
doctor-token-missing = { $setting } 未设置
doctor-token-odd = { $setting } 看起来不是令牌
doctor-token-discord = 在 discord.com/developers 获取：你的应用，Bot，Reset Token。
doctor-token-telegram = 在 Telegram 上向 @BotFather 发送 /newbot 获取。
doctor-base = { $base }（{ $family }），{ $size } MB
doctor-base-guess = { $base }（{ $family }），{ $size } MB；按该系列的惯例，认为它预测 { $prediction }
doctor-base-guess-mend = 如果它是文件外观相同的 512 像素模型，请把 prediction 设为 epsilon。
doctor-base-bad = { $base } 不能在这里训练
doctor-presets = 有 { $count } 个可用
doctor-preset-broken = 未载入：{ $reason }
doctor-preset-mend = 请更正该文件，其余预设不受影响。

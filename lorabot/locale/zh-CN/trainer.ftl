# 训练器说的话：错误、计划的理由、进行中的提示、报告。

## 错误
trainer-no-card = 设置（LORABOT_TRAINER__DEVICE）要求使用 { $device }，但这里没有这张显卡。请改用其他设备，或设为“auto”。
trainer-no-images = 没有可以训练的图片，请先发几张过来。
trainer-broken-image = 图片“{ $image }”无法读取。请重新发送，或者去掉它。
trainer-out-of-memory = 内存不足，连一次训练一张图片都放不下。请稍后再试，或请运维人员换一台更大的机器。
trainer-out-of-memory-held = 显存不足，连一次训练一张图片都放不下。以下程序占用着显存：{ $holders }。等它们结束后再试。
trainer-disk-full = 磁盘已满：训练需要 { $needed } MB，只剩 { $free } MB。请运维人员清理磁盘；你的图片没有丢失。
trainer-disk-takes-no-more = 磁盘写不下这次训练的成果（只剩 { $free } MB 可用）。请运维人员清理磁盘；你的图片没有丢失。
trainer-needs-velocity = 这个预设要求零终端信噪比，只有预测 v 的底模才能学；当前底模预测的是噪声。请换一个底模，或在预设中设置 zero_terminal_snr: false。
trainer-diverged = 训练在第 { $step } 步失控：损失从 { $first } 变成了 { $now }。换更多样的图片或换一个预设，通常会有帮助。
trainer-not-finite = 训练在第 { $step } 步得不到有效数值（已跳过 { $skipped } 步）。请重试，或换一个预设。
trainer-crashed = 训练意外中断（{ $signature }）。运维人员可以在日志中查看详情。
trainer-dataset-lost = 这个任务有一张图片已经不在存储中了。请重新发送图片。

## 进行中的提示
training-note-encoding = 正在读取图片。LoRA 文件约为 { $megabytes } MB。
training-note-preserving = 正在记录底模自己会画什么
training-note-sampling = 正在绘制样张
evaluating-note-sampling = 正在绘制最终样张
training-notice-captions-cut = 有 { $count } 条描述超过了模型能读取的 { $most } 个词元，超出部分会被略去。第一条属于 { $image }。
training-notice-begun-anew = 之前保存的训练进度无法使用，训练将从头开始。
training-notice-down-batch = { $why ->
    [slow] 第 { $step } 步之后每一步慢了许多倍，像是内存溢出了。
   *[full] 第 { $step } 步之后内存不够了。
  }接下来每次处理 { $batch } 张图片（原为 { $before } 张），累积起来效果相同；没有任何损失。
training-notice-down-checkpointing = { $why ->
    [slow] 第 { $step } 步之后每一步慢了许多倍，像是内存溢出了。
   *[full] 第 { $step } 步之后内存不够了。
  }接下来中间结果不再保留而是重新计算：慢一些，结果相同。
training-notice-down-offloading = { $why ->
    [slow] 第 { $step } 步之后每一步慢了许多倍，像是内存溢出了。
   *[full] 第 { $step } 步之后内存不够了。
  }接下来底模的权重放在主机内存中：慢一些，结果相同。
training-notice-down-8-bit = 按原计划内存放不下，因此优化器的动量用 8 位保存。结果几乎相同。
training-notice-down-rank = 按原计划内存放不下，因此 LoRA 的秩改为 { $rank }（原为 { $before }），学到的细节会略少。
training-notice-down-resolution = 内存实在放不下，因此图片以 { $resolution } 像素训练（原为 { $before }）。
training-notice-waiting = 显卡没有空闲显存，训练最多等待 { $minutes } 分钟。占用显存的程序：{ $holders }。
training-notice-waiting-hidden = 显卡没有空闲显存，训练最多等待 { $minutes } 分钟。这里看不到的程序占用了 { $gigabytes } GB。
training-notice-disk = LoRA 已经训练好，但磁盘写不下了。接下来最多 { $minutes } 分钟内会反复重试；请运维人员清理磁盘。
training-notice-not-saved = 磁盘写不下了，第 { $step } 步之后的进度无法保存。训练会继续；只有中途被打断时，才需要重做其中一部分。
training-notice-latents-nowhere = 磁盘写不下更多编码后的图片，其中 { $count } 张改为每次用到时再编码：会慢一些，结果不变。
training-notice-vae-tiles = 内存紧张，因此图片分块编码和解码，几乎看不出差别。
training-notice-vae-16-bits = 内存紧张，因此图片用 16 位编码和解码，几乎看不出差别。
training-notice-vae-alone = 内存紧张，因此编码和解码图片时底模会暂时离开显卡，稍慢一些。
training-notice-fewer-at-once = 内存紧张，因此绘制和测量时模型每次只看 { $rows } 张图。结果相同。

## 计划与理由
plan-card = { $card } 共有 { $total } MB 显存，空闲 { $free } MB。
plan-card-shared = 其他程序占用着显存：{ $holders }。
plan-resolution = { $resolution } × { $resolution } 像素：这是底模最擅长的尺寸。图片会缩放到大约这个面积，在损失最小的地方裁切，绝不拉伸。
plan-steps = 共 { $steps } 步，每步 { $batch } 张：预设的总量是 { $views } 次浏览，每张图片大约会看 { $each } 次。
plan-batch-whole = 每次同时处理 { $batch } 张图片；试跑一步证明放得下。
plan-batch-split = 每次处理 { $batch } 张，每步累积 { $accumulation } 次：再多就放不下了，合起来正好是预设要求的 { $effective } 张。
plan-precision-fp32 = 使用 32 位数值，{ $device } 这样计算效果最好。
plan-precision-no-bf16 = 使用 32 位数值：{ $device } 没有 bfloat16，而较早的 float16 在训练中会溢出。显存占用加倍，也会更慢。
plan-precision-bf16 = 使用 16 位数值（bfloat16），{ $device } 这样算得快；LoRA 本身仍保留 32 位。
plan-rate = 学习率 { $rate }，先在 { $warmup } 步内升高，{ $schedule ->
        [constant] 之后保持不变
        [linear] 再直线下降
        [restarts] 再按半个余弦下降，共从最高处重来 { $restarts } 次
       *[cosine] 再按半个余弦下降
    }。秩 { $rank }，alpha { $alpha }：缩放为 { $scale }。
plan-optimiser-adamw8bit = AdamW 的动量用 8 位保存，更省显存。
plan-optimiser-no-8bit = AdamW 的动量用 32 位保存：8 位需要 NVIDIA 显卡和 bitsandbytes 软件包。结果相同，只是多占一些内存。
plan-optimiser-prodigy = Prodigy 会在训练中自己找到学习率；这里写的只是它的倍数。
plan-optimiser-schedule-free = 无调度 AdamW 用平均代替降低学习率。
plan-lora-plus = LoRA 的上行矩阵学得比下行矩阵快 { $ratio } 倍（LoRA+）。
plan-file = LoRA 文件约为 { $megabytes } MB，数值精度为 { $precision }。
plan-rank-stabilised = 缩放为 alpha 除以秩的平方根，因此高秩和低秩学得一样快。
plan-dora = 每层权重的长度和方向分开学习（DoRA）。ComfyUI 和 Forge 的出图与训练时几乎一致；AUTOMATIC1111 和未经处理的 diffusers 则不一致。
plan-dropout = 每一步随机丢弃进入 LoRA 的 { $percent } % 的输入，减少死记硬背。
plan-dropout-plain = 因此 LoRA 无法合并进底模的权重：在这个处理器上每一步会更慢。
plan-loss-huber = 较大的误差影响更小（Huber 损失，最嘈杂时刻为 { $delta }），个别反常的图片不会带偏整体。
plan-timesteps-content = 更多训练嘈杂的时刻：它们决定画面画什么。
plan-timesteps-style = 更多训练较清晰的时刻：它们决定画面怎么画。
plan-zero-terminal-snr = 最嘈杂的时刻只剩噪声，因此很暗和很亮的画面也能学到。
plan-held-out = 留出 { $count } 张图片不参与训练，用来判断模型是学会了还是只是背下来了。
plan-none-held-out = 只有 { $images } 张图片，不留出验证图片（至少需要 { $least } 张）：验证损失在训练图片上测量，每次使用相同的噪声。
plan-estimate = 试跑一步用了 { $step_ms } 毫秒，全部步骤预计约 { $seconds } 秒，不含绘制样张。
plan-preserved = 每步另有 { $rows } 行用来保住底模原有的画法：训练前它先不带触发词画了 { $pictures } 张图。
plan-text-encoder = 文本编码器也会学习，学习率 { $rate }：每一步都会重新读取描述。
plan-buckets = 图片形状不一：共用 { $count } 种尺寸训练，每一步的图片尺寸相同。其中最多的（{ $images } 张）是 { $largest } 像素。
plan-enlarged = 有 { $count } 张图片太小，只能放大到 { $most } 倍以上，会让模型学到一些模糊。
plan-checkpointing = 中间结果不保留而是重新计算：速度慢一些，但占用的内存更少。
plan-batch-enough = 每次处理 { $batch } 张，每步累积 { $accumulation } 次：实测一次处理更多并不会更快。合起来正好是预设要求的 { $effective } 张。
plan-checkpointing-fits = 中间结果不保留而是重新计算：在这张显卡上，只有这样才放得下，或者这样最快。
plan-offloading = 底模的权重放在主机内存中，逐层传到显卡：这样显卡上有更多空间处理图片。
plan-latents-nowhere = 编码后的图片内存和磁盘都放不下，因此每次用到时重新编码：会慢很多，但结果相同。
plan-peak = 训练最多时预计占用约 { $megabytes } MB 显存。
plan-fast = 训练步骤走底模的快速通道；开始时已与普通通道对比验证。
plan-plain-layers = 训练步骤走普通通道：快速通道只支持线性层上的 LoRA。
plan-plain-dora = 训练步骤走普通通道：快速通道不支持 DoRA。
plan-plain-dropout = 训练步骤走普通通道：在快速通道中 LoRA 合并进底模的权重，无法随机丢弃输入。
plan-plain-memory = 训练步骤走普通通道：显存不够，快速通道无法重新排布底模的权重。
plan-plain-offloading = 训练步骤走普通通道：快速通道需要整个底模都在显卡上。
plan-plain-network = 训练步骤走普通通道：快速通道不认识这种底模。
plan-plain-card = 训练步骤走普通通道：快速通道需要支持 bfloat16 的显卡。
plan-plain-triton = 训练步骤走普通通道：快速通道需要 Triton 这个包。
plan-plain-failed = 训练步骤走普通通道：快速通道在这里出错；原因见训练程序的日志。
plan-plain-lost = 底模的快速通道中途出错，之后的训练步骤改走普通通道：会慢一些，结果不变；原因见训练程序的日志。
plan-plain-differs = 训练步骤走普通通道：快速通道在试运行时给出了不同的结果。
plan-moved = 改在 { $device } 上继续，每次处理 { $batch } 张。

## 报告
report-intro = 这是底模 **{ $base }** 的 LoRA，使用预设 **{ $preset }**，由 { $images } 张图片训练 { $steps } 步而成。触发词是 **{ $trigger }**。
report-chosen = 你得到的是第 { $step } 步之后的状态：从第 { $half } 步起（更早的状态学到的还太少，损失再低也不选），它在没有训练过的图片上损失最低（{ $loss }；训练前为 { $first }）。
report-chosen-seen = 你得到的是第 { $step } 步之后的状态：从第 { $half } 步起（更早的状态学到的还太少，损失再低也不选），它的验证损失最低（{ $loss }；训练前为 { $first }）。图片太少，没有留出验证图片，所以是在训练图片上测量的。
report-plot = 损失曲线
report-grid = 训练前、训练中和训练后的样张
report-usage = 使用方法
report-usage-demo = 这个 LoRA 属于 lorabot 自带的小型演示模型。在 AUTOMATIC1111、Forge 和 ComfyUI 中，请使用在 Stable Diffusion 底模上训练的 LoRA。
report-usage-a1111 = **AUTOMATIC1111 / Forge**：把 `{ $file }` 放进 `models/Lora`，在提示词里写 `{ $tag } { $trigger }`。
report-usage-comfyui = **ComfyUI**：把 `{ $file }` 放进 `models/loras`，在 checkpoint 之后加上“Load LoRA”节点，并在提示词里写 `{ $trigger }`。
report-usage-diffusers = **diffusers**：
report-usage-strength = 强度先用 1。如果画面都千篇一律，就降到 0.7；如果效果太弱，就升到 1.2。
report-numbers = 数据一览
report-row-file = 文件
report-row-images = 图片
report-row-buckets = 训练尺寸（图片数）
report-row-steps = 步数
report-row-rate = 速度
report-row-time = 用时
report-row-loss = 训练损失（平滑后）
report-row-validation = 验证损失
report-row-skipped = 跳过的步数
report-row-device = 设备
report-images = 训练 { $training } 张，留出 { $held } 张
report-steps = { $steps } 步，每步 { $batch } 张图片
report-rate = 每秒 { $rate } 步，不含保存和绘制样张
report-time = { $seconds } 秒，其中训练步骤 { $training } 秒
report-plan = 计划与理由
report-expected = 开始前预计全部需要 { $low } 到 { $high } 秒；实际用了 { $true } 秒，比中间值{ $way ->
        [longer] 多
       *[shorter] 少
    } { $percent }%。
report-peak = 显存占用最高 { $true } MB{ $planned ->
        [none] 。
       *[other] ，计划为 { $planned } MB。
    }
report-estimate-true = 实际情况：步骤预计 { $estimate } 秒，实际用了 { $true } 秒。
report-losses = 损失
report-losses-how = 每次都用相同的噪声和噪声强度测量，所以数值可以相互比较。★ 是你得到的状态。
report-column-step = 步
report-column-validation = 验证
report-column-seen = 训练图片
report-dataset = 图片与标注
report-dataset-how = 每条标注里都有触发词 **{ $trigger }**。标注里写到的内容以后可以用提示词改变，没写到的内容就归触发词所有。
report-dataset-more = ……另有 { $count } 张，全部列在 `report.json` 中。
report-column-image = 图片
report-column-caption = 标注
report-column-used = 用途
report-used-training = 训练
report-used-held-out = 验证
report-timings = 时间花在哪里
report-column-stage = 阶段
report-seconds-preparing = 加载底模
report-seconds-captioning = 生成标注
report-seconds-planning = 制定计划
report-seconds-opening = 为训练步骤准备模型
report-seconds-encoding = 编码图片和标注
report-seconds-preserving = 记录底模原有的画法
report-seconds-training = 训练步骤
report-seconds-validation = 验证
report-seconds-sampling = 绘制样张
report-seconds-waiting = 等待显卡
report-seconds-saving = 保存续训状态
report-seconds-exporting = 写出文件
report-seconds-other = 其他
report-seconds-sum = 合计
report-versions = 版本
report-base = 底模 { $base }（{ $identity }），种子 { $seed }

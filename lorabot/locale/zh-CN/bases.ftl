# 底模：大家会问到的，以及文件有什么问题、该怎么办。{ $file } 是文件名或文件夹名。

base-unknown = 没有 `{ $base }` 这个底模。可以选择：{ $bases }。
base-unknown-near = 没有 `{ $base }` 这个底模。是不是想用 { $nearest }？

## 不能用来训练的文件
base-no-file = 设置里写的位置没有 { $file } 这个文件或文件夹。请检查路径；相对路径要以 ./ 开头，从启动 lorabot 的位置算起。
base-unreadable = { $file } 无法读取：{ $reason }。请检查读取权限。
base-pickle = { $file } 是 pickle 文件，加载它会运行作者放在里面的任意程序。请改用该模型的 .safetensors 版本；如果没有，请在一台没有重要数据的机器上转换。
base-gguf = { $file } 是 GGUF 文件，权重取整太粗，无法用来训练。请改用该模型的 .safetensors 文件。
base-not-safetensors = { $file } 不是 safetensors 文件。请重新下载 .safetensors 格式的模型。
base-cut-short = { $file } 不完整：只有 { $has } 字节，应有 { $needs } 字节。请重新下载。
base-lfs-pointer = { $file } 只是 git 代替大文件保存的指针。请用 `git lfs pull` 取回文件本身，或直接下载。
base-web-page = { $file } 是网页，不是模型：下载时打开的是要求登录或同意条款的页面。请用浏览器重新下载。
base-lora = { $file } 是 LoRA，不是底模。请填写与它搭配使用的 checkpoint。
base-controlnet = { $file } 是 ControlNet，不是底模。请填写一个 checkpoint。
base-embedding = { $file } 是嵌入（textual inversion），不是底模。请填写一个 checkpoint。
base-vae = { $file } 只有 VAE。请填写完整的 checkpoint，其中自带 VAE。
base-text-encoder = { $file } 只有文本编码器。请填写完整的 checkpoint，其中自带文本编码器。
base-unet = { $file } 只有 UNet。请填写带有文本编码器和 VAE 的完整 checkpoint，或该文件所属的 diffusers 文件夹。
base-without-text-encoder = { $file } 有 UNet，但没有文本编码器。请填写该模型的完整版本。
base-without-vae = { $file } 没有 VAE。请填写带有 VAE 的版本。
base-refiner = { $file } 是 SDXL 的 refiner，只能给图片收尾。请填写 SDXL 的 base 模型。
base-inpainting = { $file } 是局部重绘模型：它的 UNet 有 9 个输入通道，其中包括待填补的图片。请填写该模型的普通版本。
base-instruct = { $file } 是 InstructPix2Pix 模型：它的 UNet 有 8 个输入通道，其中包括待修改的图片。请填写普通的 checkpoint。
base-upscaler = { $file } 是放大模型：它的 UNet 有 7 个输入通道，其中包括小图。请填写普通的 checkpoint。
base-depth = { $file } 是深度模型：它的 UNet 有 5 个输入通道，其中包括深度图。请填写普通的 checkpoint。
base-sd3 = { $file } 是 Stable Diffusion 3 模型，lorabot 不训练这种架构。请填写 SD 1.5、SD 2.1 或 SDXL 的模型。
base-flux = { $file } 是 Flux 模型，lorabot 不训练这种架构。请填写 SD 1.5、SD 2.1 或 SDXL 的模型。
base-other = { $file } 里没有 lorabot 认识的模型。请填写 SD 1.5、SD 2.1 或 SDXL 的 checkpoint。
base-other-pipeline = 文件夹 { $file } 里是 { $kind }。请填写 StableDiffusionPipeline 或 StableDiffusionXLPipeline 的文件夹。
base-contradiction = 设置里写着 { $file } 属于 { $stated } 系列，但它的文本编码器属于 { $found }。请改正 family，或者不写。
base-compressed = { $file } 中的权重经过压缩（带缩放的 fp8、NF4 或 int8），只能用来画图，不能用来训练。请填写该模型的 fp16 版本；普通的 fp8 文件也可以。
base-odd-unet = { $file } 的 UNet（{ $channels } 个输入通道）与 SD 1.5、SD 2.1、SDXL 的结构都不同。请换一个模型。
base-odd-vae = { $file } 的 VAE 与 Stable Diffusion 的结构不同。请换该模型的另一个版本。
base-odd-text-encoder = { $file } 的一个文本编码器与 CLIP 的结构不同。请换该模型的另一个版本。
base-odd-part = { $file } 里的权重 { $name } 大小与其余部分不符（{ $part }）。请重新下载，或换该模型的另一个版本。
base-incomplete = { $file } 的 { $part } 缺少 { $count } 个权重，例如 { $name }。请重新下载，或换该模型的另一个版本。
base-not-finite = { $file } 已损坏：{ $part } 的权重 { $name } 里有无穷大的数，画出来的图都会是黑的。请换该模型的另一个版本，例如 fp32 版或换过 VAE 的版本。
base-folder-file = 文件夹 { $file } 里没有 { $part }，不是完整的 diffusers 文件夹。请重新下载，或填写 .safetensors 文件。
base-folder-json = 文件夹 { $file } 里的 { $part } 无法解析。请重新下载。
base-folder-part = 文件夹 { $file } 里没有可以加载的 { $part } 权重。请连同 .safetensors 文件重新下载。
base-folder-pickle = 文件夹 { $file } 里的 { $part } 只有 pickle 文件，加载它会运行作者放在里面的任意程序。请下载 .safetensors 文件。
base-no-memory = 底模 { $base } 需要 { $needed } GB 内存，空闲 { $free } GB。请结束其他程序，或换一台机器训练。
base-no-card-memory = 底模 { $base } 需要 { $needed } GB 显存，空闲 { $free } GB。请结束占用显卡的其他程序，或换一张显卡训练。

## Hub
base-hub-not-yet = { $source } 还没有下载；第一个用到它的任务会下载，也可以运行 `lorabot bases --download`。
base-hub-unknown = Hugging Face Hub 上没有 { $source }，或者只对登录用户开放：请检查名称，或设置 HF_TOKEN。如果是本机的文件夹，请写 ./{ $source }。
base-hub-gated = Hugging Face Hub 上的 { $source } 只对同意条款的人开放。请在它的页面上同意，然后把 HF_TOKEN 设为你的令牌。
base-hub-unreachable = 无法连接 Hugging Face Hub（{ $reason }），所以不能下载 { $source }。请稍后再试，或在别处下载后填写文件路径。
base-hub-failed = 下载 { $source } 失败（{ $reason }）。请稍后再试。
base-hub-none = Hugging Face Hub 上的 { $source } 里没有 diffusers 文件夹，也没有 .safetensors 格式的 checkpoint。请换一个模型。
base-hub-several = Hugging Face Hub 上的 { $source } 里有多个 checkpoint（{ $files }）。请下载需要的那个，并填写文件路径。
base-hub-pickle = Hugging Face Hub 上的 { $source } 只有 pickle 文件，加载它会运行作者放在里面的任意程序。请换一个带有 .safetensors 文件的模型。
base-no-disk = 下载 { $source } 需要 { $needed } GB，磁盘只剩 { $free } GB。请腾出空间。

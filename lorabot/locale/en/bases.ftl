# Base models: what people ask for, what is wrong with a file and what to do about it. { $file } is a file's or folder's name.

base-unknown = There is no base model `{ $base }`. You can choose from { $bases }.
base-unknown-near = There is no base model `{ $base }`. Did you mean { $nearest }?

## Files that can't be trained on
base-no-file = There is no file or folder { $file } at the place that the settings name. Check the path; a relative one starts with ./ where lorabot was started.
base-unreadable = { $file } can't be read: { $reason }. Check who may read it.
base-pickle = { $file } is a pickle, and loading one runs whatever program its maker put into it. Take the .safetensors version of the model; where there is none, convert it on a machine that holds nothing of worth.
base-gguf = { $file } is a GGUF file, whose weights are rounded too coarsely to train on. Take the model's .safetensors file.
base-not-safetensors = { $file } is no safetensors file. Download the model again as .safetensors.
base-cut-short = { $file } is cut short: it has { $has } bytes and should have { $needs }. Download it again.
base-lfs-pointer = { $file } is only the pointer that git keeps in place of a large file. Fetch the file itself with `git lfs pull`, or download it.
base-web-page = { $file } is a web page and no model: the download went to a page that asks for a login or an agreement. Download it again in a browser.
base-lora = { $file } is a LoRA and no base model. Name the checkpoint that it is used with.
base-controlnet = { $file } is a ControlNet and no base model. Name a checkpoint.
base-embedding = { $file } is an embedding (textual inversion) and no base model. Name a checkpoint.
base-vae = { $file } is a VAE alone. Name a whole checkpoint; its VAE is inside.
base-text-encoder = { $file } is a text encoder alone. Name a whole checkpoint; its text encoder is inside.
base-unet = { $file } holds a UNet alone. Name a whole checkpoint with text encoder and VAE, or the diffusers folder that the file belongs to.
base-without-text-encoder = { $file } has a UNet, but no text encoder. Name the full version of the checkpoint.
base-without-vae = { $file } has no VAE. Name the version of the checkpoint with the VAE in it.
base-refiner = { $file } is SDXL's refiner, which only finishes pictures. Name an SDXL base model.
base-inpainting = { $file } is an inpainting model: its UNet takes 9 channels, a picture to fill in among them. Name the ordinary version of the model.
base-instruct = { $file } is an InstructPix2Pix model: its UNet takes 8 channels, a picture to change among them. Name an ordinary checkpoint.
base-upscaler = { $file } is an upscaler: its UNet takes 7 channels, a small picture among them. Name an ordinary checkpoint.
base-depth = { $file } is a depth model: its UNet takes 5 channels, a depth map among them. Name an ordinary checkpoint.
base-sd3 = { $file } is a Stable Diffusion 3 model, whose architecture lorabot does not train. Name one of SD 1.5, SD 2.1 or SDXL.
base-flux = { $file } is a Flux model, whose architecture lorabot does not train. Name one of SD 1.5, SD 2.1 or SDXL.
base-other = { $file } holds no model that lorabot knows. Name a checkpoint of SD 1.5, SD 2.1 or SDXL.
base-other-pipeline = The folder { $file } holds a { $kind }. Name one with a StableDiffusionPipeline or a StableDiffusionXLPipeline.
base-contradiction = The settings say that { $file } is of the family { $stated }, but its text encoders are those of { $found }. Correct the family, or leave it out.
base-compressed = The weights in { $file } are compressed in a way that only programs that draw can use (scaled fp8, NF4 or int8). Name the fp16 version of the model; a plain fp8 file works, too.
base-odd-unet = The UNet in { $file } ({ $channels } channels in) is not built like that of SD 1.5, SD 2.1 or SDXL. Name another model.
base-odd-vae = The VAE in { $file } is not built like that of a Stable Diffusion. Name another version of the model.
base-odd-text-encoder = A text encoder in { $file } is not built like CLIP. Name another version of the model.
base-odd-part = The weights { $name } in { $file } are not of the size that the rest asks for ({ $part }). Download the file again, or name another version of the model.
base-incomplete = { $file } lacks { $count } weights of its { $part }, such as { $name }. Download it again, or name another version of the model.
base-not-finite = { $file } is broken: the weights { $name } of its { $part } hold infinite numbers, so that all its pictures would be black. Name another version of the model, one in fp32 or with another VAE.
base-folder-file = The folder { $file } has no { $part }: it is no complete diffusers folder. Download it again, or name a .safetensors file.
base-folder-json = { $part } in the folder { $file } can't be understood. Download it again.
base-folder-part = The folder { $file } has no weights for its { $part } that can be loaded. Download it again, with its .safetensors files.
base-folder-pickle = In the folder { $file }, { $part } comes as a pickle only, and loading one runs whatever program its maker put into it. Download the .safetensors files.
base-no-memory = The base model { $base } needs { $needed } GB of memory, and { $free } GB are free. End other programs, or train on another machine.
base-no-card-memory = The base model { $base } needs { $needed } GB of the card's memory, and { $free } GB are free. End other programs on the card, or train on another one.

## The hub
base-hub-not-yet = { $source } was not downloaded yet; the first job that asks for it does, and so does `lorabot bases --download`.
base-hub-unknown = There is no { $source } on the Hugging Face Hub, or only for those who log in: check the name, or set HF_TOKEN. For a folder on this host, write ./{ $source }.
base-hub-gated = { $source } on the Hugging Face Hub is only for those who agreed to its terms. Agree on its page, then set HF_TOKEN to a token of yours.
base-hub-unreachable = The Hugging Face Hub can't be reached ({ $reason }), so { $source } can't be downloaded. Try again later, or download it elsewhere and name the file.
base-hub-failed = The download of { $source } failed ({ $reason }). Try again later.
base-hub-none = { $source } on the Hugging Face Hub holds no diffusers folder and no .safetensors checkpoint. Name another model.
base-hub-several = { $source } on the Hugging Face Hub holds several checkpoints ({ $files }). Download the one you mean, and name the file.
base-hub-pickle = { $source } on the Hugging Face Hub comes as pickles only, and loading one runs whatever program its maker put into it. Name a model with .safetensors files.
base-no-disk = The download of { $source } takes { $needed } GB, and { $free } GB are free on the disk. Make room.

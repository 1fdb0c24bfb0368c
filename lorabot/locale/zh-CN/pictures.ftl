# 图片里的文字。所用字形在 locale/fonts。

## 损失曲线

picture-title = { $name } · { $preset } · { $images } 张图片
picture-training = 训练损失（平滑）
picture-seen = 训练图片，固定噪声
picture-held-out = 留出图片，固定噪声
picture-validation = 验证损失（固定噪声）
picture-chosen = 选用：第 { $step } 步
picture-rate = 学习率
picture-loss = 损失
picture-steps = 步数
picture-samples = 样张

## 样张

picture-before = 训练前
picture-step = 第 { $step } 步
picture-final = 最终（第 { $step } 步）
picture-prompt = 提示词 { $number }

## 训练中的图片

picture-live-loss = 损失
picture-live-validation = 验证

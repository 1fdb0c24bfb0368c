# 与预设有关的文字。{ $nearest }、{ $presets }、{ $families } 是以逗号分隔的名称。
preset-unknown = 没有名为“{ $preset }”的预设。你是不是想用 { $nearest }？
preset-unknown-all = 没有名为“{ $preset }”的预设。可以选择：{ $presets }。
preset-no-recipe = 预设 { $preset } 不支持底模 { $family }，可以使用 { $families }。

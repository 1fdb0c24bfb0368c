# 命令行界面，写给运维人员。

## 设置。{ $name } 是环境变量，或文件名加键名；{ $allowed } 取自 settings-allowed-...
settings-wrong = { $name } 的值是“{ $value }”，但应为{ $allowed }。
settings-wrong-secret = { $name } 的值无法使用，应为{ $allowed }。为保密起见，这里不显示它的值。
settings-wrong-section = { $name }：{ $reason }。
settings-unknown-variable = 没有 { $name } 这项设置。是不是 { $nearest }？
settings-unknown-variable-at-all = 没有 { $name } 这项设置。全部设置见 docs/settings.md。
settings-unknown-key = { $file }：没有 { $name } 这项设置。是不是 { $nearest }？
settings-unknown-key-at-all = { $file }：没有 { $name } 这项设置。全部设置见 docs/settings.md。
settings-no-file = 无法读取设置文件 { $file }：{ $reason }。
settings-not-toml = 无法理解设置文件 { $file }：{ $reason }。
settings-no-secret-file = { $name } 指向的文件 { $file } 无法读取：{ $reason }。
settings-twice = { $name } 和 { $file } 同时被设置，请只保留一个。
settings-allowed-choice = 以下之一：{ $choices }
settings-allowed-url = 以 { $scheme }:// 或 { $scheme }s:// 开头的地址
settings-allowed-form = { $form } 的形式（{ $description }）
settings-allowed-text = 至少 { $least } 个字符的文本
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

# The command line, for the operator.

## Settings. { $name } is an environment variable, or a file and its key; { $allowed } is one of settings-allowed-...
settings-wrong = { $name } is "{ $value }", but it must be { $allowed }.
settings-wrong-secret = { $name } can't be used; it must be { $allowed }. Its value is not shown here.
settings-wrong-section = { $name }: { $reason }.
settings-unknown-variable = There is no setting { $name }. Did you mean { $nearest }?
settings-unknown-variable-at-all = There is no setting { $name }. All settings are listed in docs/settings.md.
settings-unknown-key = { $file }: there is no setting { $name }. Did you mean { $nearest }?
settings-unknown-key-at-all = { $file }: there is no setting { $name }. All settings are listed in docs/settings.md.
settings-no-file = The settings file { $file } can't be read: { $reason }.
settings-not-toml = The settings file { $file } can't be understood: { $reason }.
settings-no-secret-file = { $name } names the file { $file }, which can't be read: { $reason }.
settings-twice = Both { $name } and { $file } are set. Keep one of them.
settings-allowed-choice = one of { $choices }
settings-allowed-url = an address that starts with { $scheme }:// or { $scheme }s://
settings-allowed-form = of the form { $form } ({ $description })
settings-allowed-text = a text of at least { $least } { $least ->
        [one] character
       *[other] characters
    }
settings-allowed-path = a path
settings-allowed-any = a text
settings-allowed-between = { $kind ->
        [whole] a whole number
       *[number] a number
    } { $above ->
        [yes] above { $low } and up to { $high }
       *[no] from { $low } to { $high }
    }
settings-allowed-from = { $kind ->
        [whole] a whole number
       *[number] a number
    } { $above ->
        [yes] above { $low }
       *[no] from { $low } on
    }
settings-allowed-number = { $kind ->
        [whole] a whole number
       *[number] a number
    }

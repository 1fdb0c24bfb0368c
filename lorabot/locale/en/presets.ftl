# What a person reads about presets. { $nearest }, { $presets } and { $families } are lists of ids.
preset-unknown = There is no preset "{ $preset }". Did you mean { $nearest }?
preset-unknown-all = There is no preset "{ $preset }". You can choose from { $presets }.
preset-no-recipe = The preset { $preset } has no recipe for the base model { $family }. It works with { $families }.

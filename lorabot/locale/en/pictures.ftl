# Words inside pictures. Their letters are those of locale/fonts.

## The loss plot

picture-title = { $name } · { $preset } · { $images } images
picture-training = training loss (smoothed)
picture-seen = training images, fixed noise
picture-held-out = held-out images, fixed noise
picture-validation = validation loss (fixed noise)
picture-chosen = chosen: step { $step }
picture-rate = learning rate
picture-loss = loss
picture-steps = step
picture-samples = samples

## The sample grid

picture-before = before training
picture-step = step { $step }
picture-final = final (step { $step })
picture-prompt = prompt { $number }

## The picture of a running job

picture-live-loss = loss
picture-live-validation = validation

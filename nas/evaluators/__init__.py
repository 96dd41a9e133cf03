"""What a trial is worth: by training it, or by looking it up. All give the same `Measurement`."""

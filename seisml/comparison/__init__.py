"""What pretraining is worth: encoders compared over data sets, numbers of labels and paired splits."""

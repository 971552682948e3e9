"""What a label is: classes, a number, or nothing; everything that depends on it stands here."""

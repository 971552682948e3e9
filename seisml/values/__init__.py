"""What values may be: classes that settings name, limits of settings, and what files bring along."""

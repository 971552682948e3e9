"""One page of HTML about runs: read what they have left, draw it, write the page."""

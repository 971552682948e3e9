"""ConvNetQuake's windows: data module and prepare step."""

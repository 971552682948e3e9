"""Small networks on pictures, as textbooks have them."""

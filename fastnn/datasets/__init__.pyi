from . import digits as digits
from . import fashion_mnist as fashion_mnist

"""Pictures: scikit-learn's digits, IDX, CIFAR, and folders of image files."""

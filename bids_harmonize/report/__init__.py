"""Pages made from files on disk only, so that they can be made again at no cost."""

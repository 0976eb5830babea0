"""Image operations: arrays in, arrays out; no files, no logs, no settings.

Volumes are float32 arrays of shape (I, J, K), masks are boolean arrays of the same shape, and
affines are 4x4 float64 voxel-to-world matrices in mm, RAS+. Inputs are never changed in place.
"""

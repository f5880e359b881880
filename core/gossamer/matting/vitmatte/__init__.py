"""ViTMatte (Yao et al. 2023): alpha from a trimap by a network."""

"""The Ray provider: one job of Ray's Jobs API per trial, on a cluster of your own."""

from cloudtune_ray.provider import RayProvider

__all__ = ["RayProvider"]

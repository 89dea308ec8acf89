"""Annotation formats that are not COCO's, each read into COCO content by a module of its own."""

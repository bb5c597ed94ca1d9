"""What `make run` shows a newcomer: a model that needs no key and a project to try things on."""

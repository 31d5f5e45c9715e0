"""`streammon demo`: drift found and explained, in one process and half a minute.

scenario.py   the story as data       folder.py   the one folder that it writes
stage.py      broker, worker, readers around it          play.py    the whole performance
service.py    the simulated services  verdict.py  what was found, and what should have been
screen.py     what a person sees
"""

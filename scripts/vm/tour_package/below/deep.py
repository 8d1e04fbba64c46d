from .. import names

DEPTH = 2


def way_up():
    return names.OWN.upper()

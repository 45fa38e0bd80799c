"""x"""
def problems(study, hidden=frozenset()): return []
def notes(study): return []

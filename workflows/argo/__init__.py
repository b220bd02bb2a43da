"""From a spec and an installation to Argo's objects. Hera is imported in ``template.py`` only."""

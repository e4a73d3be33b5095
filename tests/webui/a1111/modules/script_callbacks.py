"""Test host: `modules.script_callbacks`."""

callbacks = {}


def _registrar(name):
    def register(callback, *, name_=None):
        callbacks.setdefault(name, []).append(callback)

    return register


on_ui_tabs = _registrar("ui_tabs")
on_app_started = _registrar("app_started")
on_ui_settings = _registrar("ui_settings")
on_infotext_pasted = _registrar("infotext_pasted")
on_script_unloaded = _registrar("script_unloaded")
on_before_reload = _registrar("on_reload")
on_model_loaded = _registrar("model_loaded")
on_before_ui = _registrar("before_ui")


def run(name, *arguments):
    """Call what was registered, as the host does; unlike the host, let errors through."""
    return [callback(*arguments) for callback in callbacks.get(name, [])]


def model_loaded_callback(sd_model):
    run("model_loaded", sd_model)

"""Test host: where Forge applies options."""


def set_config(req, is_api=False, run_callbacks=True, save_config=True):
    from modules_forge import main_entry

    from modules import shared

    refresh = False
    for key, value in req.items():
        if value == shared.opts.data.get(key):
            continue
        if key == "sd_model_checkpoint":
            refresh |= main_entry.checkpoint_change(value, save=False, refresh=False)
        elif key == "forge_additional_modules":
            refresh |= main_entry.modules_change(value, save=False, refresh=False)
        elif key == "forge_inference_memory":
            main_entry.refresh_memory_management_settings(inference_memory=value)
            refresh = True
        else:
            shared.opts.set(key, value, is_api=is_api, run_callbacks=run_callbacks)
    if refresh:
        main_entry.refresh_model_loading_parameters()
    if save_config:
        shared.opts.save(shared.config_filename)

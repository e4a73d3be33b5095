"""Test host: `backend.state_dict`."""


def try_filter_state_dict(sd, prefix_list, new_prefix=""):
    """Take the keys with the first prefix that occurs out of `sd`; they are gone from it afterwards."""
    for prefix in prefix_list:
        keys = [key for key in sd if key.startswith(prefix)]
        if keys:
            return {new_prefix + key[len(prefix) :]: sd.pop(key) for key in keys}
    return {}

"""Words of the tab in other languages: a JSON file each, English to theirs."""

"""A test host: fake `modules`, `modules_forge`, `backend`, `networks` and `launch` packages in two flavours.

It reproduces the contracts of AUTOMATIC1111 and Forge that `hosts.md` writes down (locks, sticky flags, prompt
caches that know nothing of weights, LoRA backups, inference tensors, a lazy placeholder model, reloads that do nothing,
model objects that are made anew), with the traps left in, over a small real torch model whose image is a function of
every weight. It is our own code, written from those facts; nothing of it is the WebUIs'.

Use it through the fixtures of `tests.webui.fixtures`.
"""

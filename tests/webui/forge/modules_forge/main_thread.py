"""Test host: tasks for the main thread; `run_and_wait_result` gives None when the task failed."""

import threading
import time

lock = threading.Lock()
waiting_list, finished_list = [], []
last_exception = None
last_id = 0
stopping = threading.Event()  # the fixture's
thread = None


class Task:
    def __init__(self, task_id, func, args, kwargs):
        self.task_id, self.func, self.args, self.kwargs = task_id, func, args, kwargs
        self.result = None

    def work(self):
        global last_exception
        try:
            self.result = self.func(*self.args, **self.kwargs)
            last_exception = None
        except Exception as error:  # noqa: BLE001 - as the host does
            last_exception = error


def loop():
    while not stopping.is_set():
        time.sleep(0.002)
        if waiting_list:
            with lock:
                task = waiting_list.pop(0)
            task.work()
            with lock:
                finished_list.append(task)


def async_run(func, *args, **kwargs):
    global last_id
    with lock:
        last_id += 1
        waiting_list.append(Task(last_id, func, args, kwargs))
        return last_id


def run_and_wait_result(func, *args, **kwargs):
    mine = async_run(func, *args, **kwargs)
    while not stopping.is_set():
        time.sleep(0.002)
        for task in finished_list.copy():
            if task.task_id == mine:
                with lock:
                    finished_list.remove(task)
                return task.result
    return None

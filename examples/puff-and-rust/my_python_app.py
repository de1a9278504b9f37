import puff
from puff import global_state

rust_obj = global_state()


def hello_world():
    print(rust_obj.hello_from_rust("Hello from Python!"))
    print(puff.wrap_async(lambda ret_func: rust_obj.hello_from_rust_async(ret_func, "hello async")))

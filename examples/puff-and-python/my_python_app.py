import puff


def hello_world():
    fn = "my_file.zip"
    result_bytes = puff.read_file_bytes(fn)  # Puff async function that runs in Tokio.
    result_py_bytes = do_some_blocking_work(fn)  # Python that blocks gets a thread; other greenlets go on.
    print(
        f"Hello from python!! Zip is {len(result_bytes)} bytes long from rust "
        f"and {len(result_py_bytes)} bytes from Python."
    )


@puff.blocking
def do_some_blocking_work(fn):
    with open(fn, "rb") as f:
        return f.read()

from hello_world_py_app import __version__

from puff import global_graphql

gql = global_graphql()


def test_version():
    assert __version__ == "0.1.0"


def test_gql():
    QUERY = """
    query {
        hello_world(my_input: 3) {
            title
            was_input
        }
    }
    """
    result = gql.query(QUERY, {})
    assert "data" in result
    assert "errors" not in result
    assert result["data"]["hello_world"][0]["title"] == "hi from pg"
    assert result["data"]["hello_world"][0]["was_input"] == 3

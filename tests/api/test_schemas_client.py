"""The fixture's own promises: named users, and a client for the asynchronous layers."""

import pytest
from kubernetes import aio

from tests.api.conftest import ApiServer


async def test_the_asynchronous_client_reads_as_its_user(api_server: ApiServer) -> None:
    async with api_server.client() as api:
        listed = await aio.client.CustomObjectsApi(api).list_cluster_custom_object(
            "modelward.dev", "v1alpha1", "models"
        )
    assert listed["kind"] == "ModelList"


@pytest.mark.parametrize("user", ["operator", "ada", "grace"])
def test_a_user_without_a_role_may_do_nothing(api_server: ApiServer, user: str) -> None:
    answer = api_server.request("GET", "/apis/modelward.dev/v1alpha1/models", user=user)
    assert answer.code == 403
    assert f'User "{user}" cannot list' in answer.message

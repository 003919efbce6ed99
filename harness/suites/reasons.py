"""Why tests of other projects fail here: what each of them asserts that is another way here."""

from __future__ import annotations

from typing import NamedTuple

REASONS = {
    "refusal": (
        "Errors are told in our words: refusals are JSON with `extensions.code`, statuses and close codes those of the "
        "audits, and the message of a bug is masked"
    ),
    "selection": "Operations are selected as the specification says: of several one is named, and it is there",
    "legacy": "The legacy protocol graphql-ws is refused",
    "ide": "GraphiQL comes from the app itself, and to a browser that asks for HTML",
    "spy": "The test looks into Strawberry's or graphql-core's own parts, which do not run here",
}

AS_STRAWBERRY = (
    "Not failing, for the suite's router is told `as_strawberry`; by its defaults it answers these otherwise"
)


class Failing(NamedTuple):
    """Tests of one module, by their names, that fail for one reason."""

    module: str
    reason: str
    names: str


KNOWN = (
    Failing("http/incremental/test_defer.py", "refusal", "test_defer_with_mask_error_extension"),
    Failing(
        "http/incremental/test_multipart_subscription.py", "spy",
        "test_multipart_subscription_use_the_views_decode_json_method",
    ),
    Failing(
        "http/incremental/test_multipart_subscription.py", "refusal",
        "test_multipart_subscription_returns_error_for_query_operation "
        "test_returns_error_when_trying_to_use_batching_with_multipart_subscriptions",
    ),
    Failing(
        "http/test_graphql_ide.py", "ide",
        "test_renders_graphql_ide test_does_not_render_graphiql_if_wrong_accept test_renders_graphiql_disabled",
    ),
    Failing("http/test_http.py", "spy", "test_the_http_handler_uses_the_views_decode_json_method"),
    Failing("http/test_http.py", "refusal", "test_exception"),
    Failing("http/test_query.py", "spy", "test_calls_handle_errors"),
    Failing(
        "http/test_query.py", "refusal",
        "test_requests_with_invalid_variables_parameter_are_rejected test_passing_invalid_query test_returns_errors "
        "test_returns_errors_and_data test_passing_invalid_json_post test_passing_invalid_json_get test_missing_query "
        "test_requests_with_invalid_query_parameter_are_rejected "
        "test_requests_with_invalid_extension_parameter_are_rejected",
    ),
    Failing(
        "http/test_query.py", "selection",
        "test_operation_selection test_invalid_operation_selection test_operation_selection_without_operations",
    ),
    Failing(
        "http/test_query_batching.py", "refusal",
        "test_returns_error_when_trying_too_many_operations test_returns_error_when_batching_is_disabled",
    ),
    Failing(
        "http/test_query_via_get.py", "refusal",
        "test_sending_empty_query test_does_not_allow_mutation test_fails_if_allow_queries_via_get_false",
    ),
    Failing(
        "http/test_sse.py", "spy",
        "test_sse_subscription_use_the_views_decode_json_method test_sse_calls_handle_errors",
    ),
    Failing(
        "http/test_sse.py", "refusal",
        "test_sse_subscription_resolver_exception_completes_stream "
        "test_sse_subscription_mid_stream_error_keeps_streaming test_sse_missing_query_returns_error_event "
        "test_sse_graphql_parse_error_returns_error_event test_sse_rejects_invalid_request_parameters "
        "test_sse_rejects_malformed_http_requests test_sse_rejects_batching test_sse_mutation",
    ),
    Failing(
        "http/test_upload.py", "refusal",
        "test_upload_invalid_query test_upload_missing_file test_sending_invalid_form_data "
        "test_multipart_uploads_are_disabled_by_default",
    ),
    Failing("websockets/test_graphql_ws.py", "legacy", "*"),
    Failing(
        "websockets/test_graphql_transport_ws.py", "refusal",
        "test_unknown_message_type test_missing_message_type test_parsing_an_invalid_message "
        "test_non_text_ws_messages_result_in_socket_closure test_non_json_ws_messages_result_in_socket_closure "
        "test_ws_message_frame_types_cannot_be_mixed test_rejects_connection_params_not_dict "
        "test_rejects_connection_params_with_wrong_type test_subscription_errors_continue "
        "test_max_subscriptions_per_connection test_subscription_syntax_error test_subscription_exceptions",
    ),
    Failing(
        "websockets/test_graphql_transport_ws.py", "selection",
        "test_operation_selection test_invalid_operation_selection test_operation_selection_without_operations "
        "test_single_result_operation_selection test_single_result_invalid_operation_selection "
        "test_single_result_operation_selection_without_operations",
    ),
    Failing(
        "websockets/test_graphql_transport_ws.py", "spy",
        "test_connection_init_timeout_cancellation test_server_sent_ping test_document_is_parsed_by_schema_once "
        "test_document_parsing_uses_schema_extensions test_subscription_cancellation test_error_handler_for_timeout "
        "test_task_done_callback_fires_for_completed_operations test_done_callback_fires_for_cancelled_subscription "
        "test_shutdown_with_multiple_in_flight_operations test_task_done_callback_retrieves_exception "
        "test_task_done_callback_on_unhandled_operation_exception test_shutdown_awaits_cancelled_subscription_tasks "
        "test_incremental_delivery_frames_are_rejected",
    ),
    Failing("websockets/test_websockets.py", "legacy", "test_clients_can_prefer_subprotocols"),
    Failing(
        "websockets/test_websockets.py", "spy",
        "test_handlers_use_the_views_encode_json_method test_handlers_use_the_views_decode_json_method",
    ),
    Failing("execution/test_executor.py", "spy", "provides_info_about_current_execution_state"),
)  # fmt: skip


def reason_of(test: str) -> str | None:
    """Why the test of this id fails; None where nobody knows."""
    path, _, name = test.removeprefix("tests/").partition("::")
    name = name.rpartition("::")[2].partition("[")[0]
    here = (one for one in KNOWN if one.module == path)
    return next((one.reason for one in here if one.names == "*" or name in one.names.split()), None)

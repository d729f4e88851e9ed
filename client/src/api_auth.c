/* Users and their sessions.
 */
#include "client/src/client.h"

enum maitre_status maitre_register (
    struct maitre *client, const char *login, const char *password, struct maitre_id *user)
{
    struct register_request request = {.login = bytes_text (login), .password = bytes_text (password)};
    struct register_reply value;
    struct maitre_reply *reply = NULL;
    enum maitre_status status = client_invoke (client, METHOD_NUMBER_AUTH_REGISTER, &request, NULL, &reply, &value);
    if (status == MAITRE_OK && user != NULL)
        *user = client_id_out (&value.user);
    maitre_reply_destroy (&reply);
    return status;
}

/* Takes the tokens of a login or refresh: the access token into the handle, the rest into *session (may be NULL). */
static enum maitre_status take_tokens (
    struct maitre *client, const char *login, const struct login_reply *value, struct maitre_session *session)
{
    if (!value->has_access_token)
        return (enum maitre_status) client_error (
            &client->error, STATUS_INTERNAL, "BAD_REPLY", "the node sent no access token; ask its operator");
    memcpy (client->token, value->access_token.data, value->access_token.len);
    client->token_len = value->access_token.len;
    if (session == NULL)
        return MAITRE_OK;
    *session = (struct maitre_session){.user = client_id_out (&value->user),
        .session = client_id_out (&value->session),
        .roles = (uint32_t) value->roles,
        .access_expires_ms = value->access_expires_ms,
        .sequence = value->sequence};
    client_text (session->login, sizeof session->login, bytes_text (login));
    client_text (session->refresh_token, sizeof session->refresh_token,
        value->has_refresh_token ? value->refresh_token : bytes_of (NULL, 0));
    return MAITRE_OK;
}

enum maitre_status maitre_login (
    struct maitre *client, const char *login, const char *password, struct maitre_session *session)
{
    struct login_request request = {.login = bytes_text (login), .password = bytes_text (password)};
    struct login_reply value;
    struct maitre_reply *reply = NULL;
    enum maitre_status status = client_invoke (client, METHOD_NUMBER_AUTH_LOGIN, &request, NULL, &reply, &value);
    if (status == MAITRE_OK)
        status = take_tokens (client, login, &value, session);
    maitre_reply_destroy (&reply);
    return status;
}

/* A refresh token is spent by its use, so a try whose outcome is unknown must be repeated under its own request id. */
enum maitre_status maitre_refresh (struct maitre *client, struct maitre_session *session)
{
    struct refresh_request request = {.login = bytes_text (session->login),
        .session = client_id_in (&session->session),
        .sequence = session->sequence,
        .refresh_token = bytes_text (session->refresh_token)};
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.request_id = session->unknown_refresh;
    struct login_reply value;
    struct maitre_reply *reply = NULL;
    struct maitre_session next;
    enum maitre_status status = client_invoke (client, METHOD_NUMBER_AUTH_REFRESH, &request, &options, &reply, &value);
    memset (&session->unknown_refresh, 0, sizeof session->unknown_refresh);
    if (status == MAITRE_OK)
        status = take_tokens (client, session->login, &value, &next);
    else if (client->error.maybe_applied)
        session->unknown_refresh = client->error.request_id;
    if (status == MAITRE_OK)
        *session = next;
    maitre_reply_destroy (&reply);
    return status;
}

enum maitre_status maitre_logout (struct maitre *client, const struct maitre_session *session)
{
    struct revoke_sessions_request request = {
        .login = bytes_text (session->login), .has_session = true, .session = client_id_in (&session->session)};
    return client_invoke (client, METHOD_NUMBER_AUTH_REVOKE, &request, NULL, NULL, NULL);
}

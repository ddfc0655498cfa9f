-- tests/interop/beside.lua: miltertest's script for tombolo-milter; -D port=N -D state=up|down
mt.set_timeout(30)
conn = mt.connect("inet:" .. port .. "@127.0.0.1", 40, 0.25)
if conn == nil then error("nobody listens") end
if mt.negotiate(conn, nil, nil, nil) ~= nil then error("negotiation failed") end

-- only what is needed is asked for
for name, bit in pairs({ body = SMFIP_NOBODY, eoh = SMFIP_NOEOH, data = SMFIP_NODATA, unknown = SMFIP_NOUNKNOWN }) do
	if bit ~= nil and not mt.test_option(conn, bit) then error("it wants " .. name) end
end
if mt.test_action(conn, SMFIF_CHGBODY) then error("it wants to change bodies") end

function begin(from)
	mt.mailfrom(conn, from)
	return mt.getreply(conn)
end
function rcpt(address, want)
	mt.rcptto(conn, address, "NOTIFY=NEVER")
	if mt.getreply(conn) ~= want then error(address .. ": another answer than expected") end
end

mt.conninfo(conn, "client.example", "192.0.2.1")
mt.helo(conn, "client.example")
if state == "down" then
	if begin("<x@far.example>") ~= SMFIR_REPLYCODE then error("without tombolod a client has to come back") end
	mt.disconnect(conn)
	return
end

if begin("<x@far.example>") ~= SMFIR_CONTINUE then error("MAIL") end
rcpt("<nobody@contoso.com>", SMFIR_REPLYCODE)
rcpt("<anna@contoso.com>", SMFIR_CONTINUE)
rcpt("<clara@contoso.com>", SMFIR_CONTINUE)
mt.header(conn, "From", " x@far.example")
mt.header(conn, "X-MS-Exchange-Organization-AuthAs", " Internal")
mt.header(conn, "Subject", "  two blanks")
mt.header(conn, "X-Tombolo-Decision", " forged")
mt.eom(conn)
if mt.getreply(conn) ~= SMFIR_CONTINUE and mt.getreply(conn) ~= SMFIR_ACCEPT then error("EOM") end
if not mt.eom_check(conn, MT_HDRDELETE, "X-MS-Exchange-Organization-AuthAs") then error("a forged header stays") end
if not mt.eom_check(conn, MT_HDRDELETE, "X-Tombolo-Decision") then error("a forged decision stays") end
if not mt.eom_check(conn, MT_HDRADD, "X-Tombolo-Decision") then error("no decision is told") end
if mt.eom_check(conn, MT_HDRDELETE, "Subject") then error("the subject goes") end
if not mt.eom_check(conn, MT_RCPTDELETE, "<clara@contoso.com>") then error("clara is not taken out") end
if mt.eom_check(conn, MT_RCPTDELETE, "<anna@contoso.com>") then error("anna is taken out") end
if mt.eom_check(conn, MT_QUARANTINE) then error("it is held") end

-- a closed way is held; a second message on one connection
if begin("<x@far.example>") ~= SMFIR_CONTINUE then error("second MAIL") end
rcpt("<closed@contoso.com>", SMFIR_CONTINUE)
mt.header(conn, "From", " x@far.example")
mt.eom(conn)
if not mt.eom_check(conn, MT_QUARANTINE) then error("it is not held") end

-- two authors
if begin("<x@far.example>") ~= SMFIR_CONTINUE then error("third MAIL") end
rcpt("<anna@contoso.com>", SMFIR_CONTINUE)
mt.header(conn, "From", " x@far.example")
mt.header(conn, "From", " ceo@contoso.com")
mt.eom(conn)
if mt.getreply(conn) ~= SMFIR_REPLYCODE then error("two authors pass") end
mt.disconnect(conn)

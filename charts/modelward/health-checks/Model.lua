-- Is the requested version in production, on its way there, waiting for a person, or out?

local os = require("os")

-- Waits that end when somebody does something; every other wait ends by itself.
local waits_for_people = {
  AwaitingApproval = true,
  NotMonitored = true,
  NoVersionRequested = true,
  Paused = true,
  PolicyNotImplemented = true,
  RegisterIncomplete = true,
  Suspended = true,
}

local function health(status, message)
  return { status = status, message = message }
end

local function conditions_of(status)
  local found = {}
  for _, condition in ipairs(status.conditions or {}) do
    found[condition.type] = {
      status = condition.status,
      reason = condition.reason,
      message = condition.message or "",
      since = condition.lastTransitionTime,
    }
  end
  return found
end

-- A commit that brings a Model and its version is applied one after the other. Nobody is to be called for the moment between the two,
-- and notifications are sent once for a revision: one about this moment would be the last one about the commit.
local seconds_for_the_version_to_come = 60

local function awaits_its_version(spec_valid)
  -- Argo CD's os.date heeds "!" (UTC) for the present alone, not for a moment that it is given.
  local utc_clock = os.time(os.date("!*t"))
  local earliest = os.date("%Y-%m-%dT%H:%M:%SZ", utc_clock - seconds_for_the_version_to_come)
  return spec_valid.reason == "VersionNotFound" and spec_valid.since > earliest
end

-- A rollback that waits for the pods of the version before is bad news already: the version that Git asks for has failed.
local function rolls_back_what_is_requested(spec, status)
  local requested = (spec.production or {}).version
  return status.switch ~= nil and status.switch.kind == "Rollback" and status.switch.to ~= requested
end

-- A first version is on its way, or its route is: users do not miss it yet.
local function will_serve(serving, traffic)
  return serving.reason == "NoProductionVersion"
    or (serving.reason == "RouteNotAccepted" and traffic.status == "Unknown")
end

local status = obj.status or {}
if status.conditions == nil or (status.observedGeneration or 0) < obj.metadata.generation then
  return health("Progressing", "The operator has not seen this spec yet.")
end

local conditions = conditions_of(status)
local nothing = { status = "Unknown", reason = "", message = "" }
local ready = conditions.Ready or nothing
local progressing = conditions.Progressing or nothing
local serving = conditions.Serving or nothing
local spec_valid = conditions.SpecValid or nothing
local stalled = conditions.Stalled or nothing
local traffic = conditions.TrafficApplied or nothing

if spec_valid.status == "False" and awaits_its_version(spec_valid) then
  return health("Progressing", spec_valid.message)
end
if spec_valid.status == "False" then
  return health("Degraded", spec_valid.reason .. ": " .. spec_valid.message)
end
if serving.status == "False" and not will_serve(serving, traffic) then
  return health("Degraded", serving.reason .. ": " .. serving.message)
end
if stalled.status == "True" then
  return health("Degraded", stalled.reason .. ": " .. stalled.message)
end
if rolls_back_what_is_requested(obj.spec, status) then
  return health("Degraded", "RolledBack: " .. progressing.message)
end
if waits_for_people[progressing.reason] then
  return health("Suspended", progressing.reason .. ": " .. progressing.message)
end
if ready.status == "True" then
  return health("Healthy", ready.message)
end
if serving.reason == "RouteNotAccepted" then
  return health("Progressing", serving.message)
end
return health("Progressing", progressing.message)

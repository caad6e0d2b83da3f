-- A version is content. Whether it reaches users, or failed, is the health of its Model: a rejected version that is still in Git must
-- not keep an application Degraded after the revert, and one that no Model asks for must not keep it Progressing.

local status = obj.status or {}

for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Rejected" and condition.status == "True" then
    return { status = "Healthy", message = "Rejected, and serves nobody: " .. (condition.message or condition.reason) }
  end
end
if status.stage == nil then
  return { status = "Healthy", message = "Not looked at yet: Model " .. obj.spec.model .. " is not there, or is about to be." }
end
return { status = "Healthy", message = status.stage .. "." }

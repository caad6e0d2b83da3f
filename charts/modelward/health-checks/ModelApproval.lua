-- A decision by a person, which is what it is. Whether it counts is in status.pendingApprovals of its Model.

local about = obj.spec.model
if obj.spec.version ~= nil then
  about = about .. " " .. obj.spec.version
end
return { status = "Healthy", message = obj.spec.decision .. " of " .. about .. " by " .. obj.spec.approver .. " as " .. obj.spec.role .. "." }

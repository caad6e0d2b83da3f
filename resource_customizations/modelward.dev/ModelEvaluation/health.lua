-- A dated result. Whether it is good enough, or still new enough, is for the gate that reads it: the same result passes under one
-- policy and fails under another.

local measured = {}
for _, metric in ipairs(obj.spec.metrics or {}) do
  table.insert(measured, metric.name .. " " .. tostring(metric.value))
end
local message = obj.spec.name .. " of " .. obj.spec.model .. " " .. obj.spec.version .. ": " .. table.concat(measured, ", ")
if obj.spec.validUntil ~= nil then
  message = message .. "; valid until " .. obj.spec.validUntil
end
return { status = "Healthy", message = message .. "." }

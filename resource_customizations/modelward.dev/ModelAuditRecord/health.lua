-- One link of a chain. Whether the chain is whole is for `modelward audit verify`: a single link cannot tell.

local message = "No. " .. tostring(obj.spec.seq) .. ", " .. obj.spec.action
if obj.spec.version ~= nil and obj.spec.version ~= "" then
  message = message .. " " .. obj.spec.version
end
return { status = "Healthy", message = message .. "." }

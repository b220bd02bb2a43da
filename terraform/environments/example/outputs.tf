output "installation" {
  description = "The installation file: `terraform output -raw installation > installation.yaml`. `refeed compile` reads it, and `refeed project add` makes a project's kustomization of it."
  value       = local.installation
}

output "platform" {
  description = "What the kustomizations of Argo and Argo CD take, as YAML: Argo's namespace and the account that its service accounts act as, what stands for registries outside, and each project's groups of analysts."
  value = yamlencode({
    argo = {
      namespace        = var.argo.namespace
      service_accounts = var.argo.service_accounts
      identity         = module.identities.platform
    }
    mirrors  = module.registry.mirrors
    analysts = { for name, project in var.projects : name => project.analysts }
  })
}

output "image_prefix" {
  description = "`make images IMAGE_PREFIX=$(terraform output -raw image_prefix) IMAGE_TAG=...` names the images that pods pull."
  value       = module.registry.prefix
}

output "credentials" {
  description = "Command that lets kubectl reach the cluster."
  value       = module.cluster.credentials
}

output "dashboard" {
  description = "Where the dashboard is shown."
  value       = module.observability.dashboard
}
